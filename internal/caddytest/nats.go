package caddytest

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a NATS server with JetStream, in the test's own process. It keeps its
// address and its files from one start to the next.
type NATS struct {
	// URL is where clients find it. It names no user.
	URL string

	options server.Options
	server  *server.Server // nil while it is stopped
}

// StartNATS runs a server until the test ends, with options as they are adjusted.
func StartNATS(t testing.TB, adjust ...func(*server.Options)) *NATS {
	t.Helper()
	n := newNATS(t, adjust...)
	n.Restart(t)
	return n
}

func newNATS(t testing.TB, adjust ...func(*server.Options)) *NATS {
	t.Helper()
	n := &NATS{options: server.Options{
		Host:      "127.0.0.1",
		Port:      LastingPort(t),
		JetStream: true,
		StoreDir:  t.TempDir(),
		NoSigs:    true,
		NoLog:     true,
	}}
	for _, f := range adjust {
		f(&n.options)
	}
	scheme := "nats"
	if n.options.TLSConfig != nil {
		scheme = "tls"
	}
	n.URL = fmt.Sprintf("%s://127.0.0.1:%d", scheme, n.options.Port)
	t.Cleanup(n.Stop)
	return n
}

// Address is the host and port of the server.
func (n *NATS) Address() string { return fmt.Sprintf("127.0.0.1:%d", n.options.Port) }

// WebSocketURL is where clients find it by WebSocket, if the options have it so.
func (n *NATS) WebSocketURL() string { return n.server.WebsocketURL() }

// Files is the directory with the server's files.
func (n *NATS) Files() string { return n.options.StoreDir }

// Stop stops the server, which closes its connections. It may be stopped already.
func (n *NATS) Stop() {
	if n.server == nil {
		return
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
	n.server = nil
}

// Restart starts the server again, with the same address and files; first stopping
// it, if it runs.
func (n *NATS) Restart(t testing.TB) {
	t.Helper()
	n.Stop()
	n.start(t)
	if !n.server.ReadyForConnections(Patience) {
		t.Fatalf("the NATS server at %s does not become ready", n.URL)
	}
}

func (n *NATS) start(t testing.TB) {
	t.Helper()
	options := n.options // the server changes what it is given
	started, err := server.NewServer(&options)
	if err != nil {
		t.Fatalf("starting a NATS server: %v", err)
	}
	n.server = started
	started.Start()
}

// NATSCluster is servers that replicate streams among them.
type NATSCluster []*NATS

// StartNATSCluster runs servers that know each other until the test ends.
func StartNATSCluster(t testing.TB, servers int) NATSCluster {
	t.Helper()
	var routes []*url.URL
	for range servers {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", LastingPort(t))})
	}
	cluster := make(NATSCluster, servers)
	for i := range cluster {
		cluster[i] = newNATS(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("server-%d", i)
			o.Cluster.Name = "cluster"
			o.Cluster.Host = "127.0.0.1"
			_, port, _ := net.SplitHostPort(routes[i].Host)
			fmt.Sscan(port, &o.Cluster.Port)
			o.Routes = routes
		})
		cluster[i].start(t)
	}
	Await(t, "the NATS cluster has a leader that knows all", func() bool {
		for _, n := range cluster {
			if n.server.JetStreamIsLeader() && len(n.server.JetStreamClusterPeers()) == servers {
				return true
			}
		}
		return false
	})
	return cluster
}

// URLs are those of all servers.
func (c NATSCluster) URLs() (urls []string) {
	for _, n := range c {
		urls = append(urls, n.URL)
	}
	return urls
}

// Leader is the server that leads a stream, once one does.
func (c NATSCluster) Leader(t testing.TB, stream string) (leader *NATS) {
	t.Helper()
	Await(t, "the stream "+stream+" has a leader", func() bool {
		for _, n := range c {
			if n.server != nil && n.server.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = n
			}
		}
		return leader != nil
	})
	return leader
}

// AwaitCurrent returns when all servers that run have all of a stream.
func (c NATSCluster) AwaitCurrent(t testing.TB, stream string) {
	t.Helper()
	Await(t, "all have what is in the stream "+stream, func() bool {
		for _, n := range c {
			if n.server != nil && !n.server.JetStreamIsStreamCurrent(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				return false
			}
		}
		return true
	})
}
