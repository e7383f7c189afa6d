package caddytest

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a NATS server with JetStream in the test's own process. It keeps its address
// and its files across restarts.
type NATS struct {
	// URL is the URL for clients, without a user.
	URL string

	options server.Options
	server  *server.Server // nil while stopped
}

// StartNATS runs a server until the test ends, with options changed by adjust.
func StartNATS(t testing.TB, adjust ...func(*server.Options)) *NATS {
	t.Helper()
	n := newNATS(t, adjust...)
	n.Restart(t)
	return n
}

func newNATS(t testing.TB, adjust ...func(*server.Options)) *NATS {
	t.Helper()
	SkipShort(t)
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

// Address returns the host and port of the server.
func (n *NATS) Address() string { return fmt.Sprintf("127.0.0.1:%d", n.options.Port) }

// WebSocketURL returns the URL for WebSocket clients, if the options enable WebSocket.
func (n *NATS) WebSocketURL() string { return n.server.WebsocketURL() }

// Files returns the directory of the server's files.
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

// Restart starts the server again, with the same address and files. If it runs, it is
// stopped first.
func (n *NATS) Restart(t testing.TB) {
	t.Helper()
	n.Stop()
	n.start(t)
	if !n.server.ReadyForConnections(Patience) {
		t.Fatalf("the NATS server at %s did not become ready", n.URL)
	}
}

func (n *NATS) start(t testing.TB) {
	t.Helper()
	options := n.options // the server changes its options
	started, err := server.NewServer(&options)
	if err != nil {
		t.Fatalf("starting a NATS server: %v", err)
	}
	n.server = started
	started.Start()
}

// NATSCluster is a cluster of servers that replicate streams.
type NATSCluster []*NATS

// StartNATSCluster runs a cluster of servers until the test ends.
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

// URLs returns the URLs of all servers.
func (c NATSCluster) URLs() (urls []string) {
	for _, n := range c {
		urls = append(urls, n.URL)
	}
	return urls
}

// Leader returns the leader of a stream once there is one.
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

// AwaitCurrent returns when all running servers have the complete stream.
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
