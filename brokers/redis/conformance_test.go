package redis

import (
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers/brokertest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestConformance(t *testing.T) {
	t.Parallel() // they mostly wait
	brokertest.RunShared(t, service)
}

// service is a server that keeps its data, and processes that each reach it through a
// proxy.
func service(t *testing.T) brokertest.Service {
	server := caddytest.StartRedis(t, "--appendonly", "yes")
	return brokertest.Service{
		Join: func(t *testing.T) *brokertest.Process {
			network := caddytest.StartProxy(t, server.Address())
			b := &Broker{URLs: []string{"redis://" + network.Address}}
			if err := b.Provision(caddy.Context{Context: t.Context()}); err != nil {
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
		Flush:   func(t *testing.T) { server.Do(t, "FLUSHALL") },
	}
}
