package nats

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// start runs a broker as Caddy does until the test ends. It returns the received events.
func start(t *testing.T, b *Broker) <-chan brokers.Event {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	if err := b.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := b.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	events := make(chan brokers.Event, 100)
	b.Start(brokers.History{Events: 100, MaxAge: time.Minute, MaxBytes: 10_000_000}, func(e brokers.Event) (int, func()) {
		events <- e
		return 1, nil
	})
	return events
}

func TestBrokerPublishReachesAllProcesses(t *testing.T) {
	n := caddytest.StartNATS(t)
	// With two names of the server, one process has two copies of the log.
	here := &Broker{URLs: []string{n.URL}}
	there := &Broker{URLs: []string{strings.Replace(n.URL, "127.0.0.1", "localhost", 1)}}
	heardHere, heardThere := start(t, here), start(t, there)
	published, err := here.Publish(t.Context(), brokers.Publication{Channel: "rooms/7", Message: message("hello")})
	if err != nil || published.Unreachable || published.Released != 1 {
		t.Fatalf("it comes to %+v, %v", published, err)
	}
	for _, heard := range []<-chan brokers.Event{heardHere, heardThere} {
		for e := range heard {
			if e.Lost() {
				continue // the log was read for the first time
			}
			if e.Channel != "rooms/7" || string(e.Message.Body) != "hello" || e.Position != published.Position {
				t.Errorf("%+v is received, published at %v", e, published.Position)
			}
			break
		}
	}
}
