package memory

import (
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers/brokertest"
)

func TestConformance(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Service {
		return brokertest.Service{Join: join}
	})
}

func join(t *testing.T) *brokertest.Process {
	b := new(Broker)
	if err := b.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return &brokertest.Process{Broker: b}
}
