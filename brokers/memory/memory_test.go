package memory

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
)

func TestBrokerDeliversEventsInOrderOfPositions(t *testing.T) {
	const publishers, each = 8, 500
	e := newEvents()
	var last uint64
	e.Start(roomy, func(event brokers.Event) (int, func()) {
		if event.Position.Offset != last+1 {
			t.Errorf("offset %d came after %d", event.Position.Offset, last)
		}
		last = event.Position.Offset
		return int(last), nil
	})

	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				published := publish(t, e, brokers.Publication{Channel: "a"})
				if published.Released != int(published.Position.Offset) {
					t.Errorf("Publish = %+v, want the count of its own delivery", published)
				}
			}
		})
	}
	wg.Wait()
	if last != publishers*each {
		t.Errorf("%d events were delivered, want %d", last, publishers*each)
	}
}

func TestBrokerRemembersEventBeforeItDelivers(t *testing.T) {
	e := newEvents()
	delivered := 0
	e.Start(roomy, func(event brokers.Event) (int, func()) {
		delivered++
		before := brokers.Position{Epoch: event.Position.Epoch, Offset: event.Position.Offset - 1}
		events, complete, err := e.Events(context.Background(), []string{"a"}, before, 1)
		if err != nil || !complete || len(events) != 1 || events[0] != event {
			t.Errorf("at the delivery of %v the history has %v, %t, %v", event, events, complete, err)
		}
		return 0, nil
	})
	for range 3 {
		publish(t, e, say("a", "hello"))
		publish(t, e, brokers.Publication{Channel: "a"})
	}
	if delivered != 6 {
		t.Errorf("%d events were delivered", delivered)
	}
}

func TestEventsMissesNothingDuringPublish(t *testing.T) {
	const publishers, each = 4, 500
	e := started(brokers.History{Events: publishers * each, MaxAge: time.Hour, MaxBytes: 100_000_000})
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				publish(t, e, say("a", "hello"))
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for at := e.position(0); at.Offset < publishers*each; {
				events, complete, err := e.Events(t.Context(), []string{"a", "b"}, at, 7)
				if err != nil || !complete {
					t.Errorf("after %v: complete %t, %v", at, complete, err)
					return
				}
				for _, event := range events {
					if event.Position.Offset != at.Offset+1 {
						t.Errorf("%v came after %v", event.Position, at)
					}
					at = event.Position
				}
				if newest := e.Newest([]string{"a"}); newest.Offset < at.Offset {
					t.Errorf("%v is newest after %v was read", newest, at)
				}
			}
		})
	}
	wg.Wait()
}

func TestBrokerSurvivesReload(t *testing.T) {
	provision := func() *Broker {
		b := new(Broker)
		if err := b.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		b.Start(roomy, nil)
		return b
	}
	before := provision()
	origin := before.Position()
	position := publish(t, before.events, say("a", "hello")).Position

	after := provision()
	if err := before.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if got := after.Position(); got != position {
		t.Errorf("a reload moved the position from %v to %v", position, got)
	}
	checkEvents(t, after.events, []string{"a"}, origin, 9, true, "1 hello")

	if err := after.Cleanup(); err != nil {
		t.Fatal(err)
	}
	checkEvents(t, after.events, []string{"a"}, origin, 9, false)
	fresh := provision()
	defer fresh.Cleanup()
	if got := fresh.Position(); got.Epoch == position.Epoch || got.Offset != 0 {
		t.Errorf("a lost count goes on as %v after %v, want another epoch from 0", got, position)
	}
	checkEvents(t, fresh.events, []string{"a"}, position, 9, false)
}
