package memory

import (
	"context"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
)

func TestEventsArriveInTheOrderOfTheirPositions(t *testing.T) {
	const publishers, each = 8, 500
	e := newEvents()
	var last uint64
	e.Deliver(func(event brokers.Event) int {
		if event.Position.Offset != last+1 {
			t.Errorf("offset %d came after %d", event.Position.Offset, last)
		}
		last = event.Position.Offset
		return int(last)
	})

	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				position, released, err := e.Publish(context.Background(), "a", nil)
				if err != nil || released != int(position.Offset) {
					t.Errorf("Publish = %v, %d, %v; want the count of its own delivery", position, released, err)
				}
			}
		})
	}
	wg.Wait()
	if last != publishers*each {
		t.Errorf("%d events were delivered, want %d", last, publishers*each)
	}
}

func TestPositionsGoOnWhileAnyConfigurationUsesThem(t *testing.T) {
	provision := func() *Broker {
		b := new(Broker)
		if err := b.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	before := provision()
	position, _, _ := before.Publish(context.Background(), "a", nil)

	after := provision()
	if err := before.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if got := after.Position(); got != position {
		t.Errorf("a reload moved the position from %v to %v", position, got)
	}

	if err := after.Cleanup(); err != nil {
		t.Fatal(err)
	}
	fresh := provision()
	defer fresh.Cleanup()
	if got := fresh.Position(); got.Epoch == position.Epoch || got.Offset != 0 {
		t.Errorf("a lost count goes on as %v after %v, want another epoch from 0", got, position)
	}
}
