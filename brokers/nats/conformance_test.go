package nats

import (
	"context"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/brokertest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestConformance(t *testing.T) { brokertest.RunShared(t, service) }

// service is a server that keeps its data, and processes that each reach it through a
// proxy.
func service(t *testing.T) brokertest.Service {
	server := caddytest.StartNATS(t)
	return brokertest.Service{
		Join: func(t *testing.T) *brokertest.Process {
			network := caddytest.StartProxy(t, server.Address())
			b := &Broker{URLs: []string{"nats://" + network.Address}}
			if err := b.Provision(caddy.Context{Context: context.Background()}); err != nil {
				t.Fatal(err)
			}
			leave := sync.OnceFunc(func() {
				if err := b.Cleanup(); err != nil {
					t.Error(err)
				}
			})
			t.Cleanup(leave)
			return &brokertest.Process{Broker: b, Leave: leave, Cut: network.Cut, Stall: network.Stall, Heal: network.Heal}
		},
		Restart: func(t *testing.T) { server.Restart(t) },
		Flush:   func(t *testing.T) { deleteStream(t, server) },
	}
}

func deleteStream(t *testing.T, server *caddytest.NATS) {
	t.Helper()
	connection, err := nats.Connect(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "PARKER"); err != nil {
		t.Fatal(err)
	}
}
