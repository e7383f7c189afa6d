package storm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// natsServer is the environment variable that makes the test binary run as one server
// of a cluster, so that the server can crash.
const natsServer = "PARKER_STORM_NATS"

const natsServers = 3

// natsOptions configures such a server.
type natsOptions struct {
	Number, Port int
	Routes       []int // the ports on which the servers reach each other
	Dir          string
}

func serveNATS() {
	var o natsOptions
	if err := json.Unmarshal([]byte(os.Getenv(natsServer)), &o); err != nil {
		panic(err)
	}
	options := &server.Options{
		ServerName: fmt.Sprint("server-", o.Number),
		Host:       "127.0.0.1",
		Port:       o.Port,
		JetStream:  true,
		StoreDir:   o.Dir,
		Cluster: server.ClusterOpts{
			Name: "storm",
			Host: "127.0.0.1",
			Port: o.Routes[o.Number],
			// Clients must not bypass their proxies.
			NoAdvertise: true,
		},
	}
	for _, port := range o.Routes {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	s, err := server.NewServer(options)
	if err != nil {
		panic(err)
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
}

// natsCluster is a cluster of servers that replicate one stream.
type natsCluster struct {
	servers [natsServers]struct {
		options natsOptions
		process *exec.Cmd
	}
	client jetstream.JetStream
}

func startNATS(t *testing.T) engine {
	t.Helper()
	c := new(natsCluster)
	ports := lastingPorts(t, 2*natsServers)
	var urls []string
	for i := range c.servers {
		c.servers[i].options = natsOptions{Number: i, Port: ports[i], Routes: ports[natsServers:], Dir: t.TempDir()}
		urls = append(urls, natsURL(ports[i]))
		c.start(t, i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.crash(i)
		}
	})
	connection, err := nats.Connect(strings.Join(urls, ","), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	if c.client, err = jetstream.New(connection); err != nil {
		t.Fatal(err)
	}
	awaitLong(t, "the NATS cluster keeps streams", func() bool {
		_, err := c.client.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "READY", Replicas: natsServers})
		return err == nil
	})
	if err := c.client.DeleteStream(t.Context(), "READY"); err != nil {
		t.Fatal(err)
	}
	return c
}

func natsURL(port int) string { return fmt.Sprintf("nats://127.0.0.1:%d", port) }

// lastingPorts returns free ports that the system does not assign to connections, so
// that a server can listen there again later.
func lastingPorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.N(20_000)
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			defer listener.Close()
			if ports = append(ports, port); len(ports) == n {
				return ports
			}
		}
	}
	t.Fatal("there are not enough free ports")
	return nil
}

func (c *natsCluster) start(t *testing.T, i int) {
	t.Helper()
	s := &c.servers[i]
	text, err := json.Marshal(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(os.Args[0])
	s.process.Env = append(os.Environ(), natsServer+"="+string(text))
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
}

func (c *natsCluster) crash(i int) {
	c.servers[i].process.Process.Kill()
	c.servers[i].process.Wait()
}

// option implements [engine].
func (c *natsCluster) option(t *testing.T) (string, []*caddytest.Proxy) {
	var proxies []*caddytest.Proxy
	var urls []string
	for i := range c.servers {
		p := caddytest.StartProxy(t, fmt.Sprintf("127.0.0.1:%d", c.servers[i].options.Port))
		proxies = append(proxies, p)
		urls = append(urls, "nats://"+p.Address)
	}
	return fmt.Sprintf("broker nats {\n url %s\n replicas %d\n}", strings.Join(urls, " "), natsServers), proxies
}

// fail implements [engine]: the leader of the stream crashes, and the others take over.
func (c *natsCluster) fail(t *testing.T) {
	leader := -1
	awaitLong(t, "the stream has a leader, and all are in step", func() bool {
		stream, err := c.client.Stream(t.Context(), "PARKER")
		if err != nil {
			return false
		}
		cluster := stream.CachedInfo().Cluster
		if _, err := fmt.Sscanf(cluster.Leader, "server-%d", &leader); err != nil {
			return false
		}
		for _, r := range cluster.Replicas {
			if !r.Current {
				return false
			}
		}
		return len(cluster.Replicas) == natsServers-1
	})
	c.crash(leader)
	<-time.After(rand.N(2 * time.Second))
	c.start(t, leader)
}
