package replica

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

func TestReplicaEndsAtOnceWhateverTheServerDoes(t *testing.T) {
	for name, is := range map[string]condition{"open": open, "cut": cut, "silent": silent} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &process{link: newLink(newServer())}
				p.start(t, p.source(""))
				p.turn(is)
				settle()
				if is != open {
					p.publish(t, say("a", "1"))
				}
				began := time.Now()
				if err := p.Leave(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %v", took)
				}
				want := []string{"lost"}
				if is != open {
					want = append(want, "wake-up")
				}
				if got := p.texts(); !slices.Equal(got, want) {
					t.Errorf("received %q, want %q", got, want)
				}
				told := p.logged.FilterMessageSnippet("unsent events are lost").Len()
				if want := map[bool]int{true: 0, false: 1}[is == open]; told != want {
					t.Errorf("%d lines say that unsent events are lost", told)
				}
			})
		})
	}
}

func TestReplicaPassesOnAtItsEndWhatItHasAccepted(t *testing.T) {
	for name, is := range map[string]condition{"cut": cut, "silent": silent} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				next := join(t, newServer())
				p := &process{link: newLink(newServer())}
				p.start(t, p.source(""))
				p.PassOn(next.Publish)
				p.publish(t, say("a", "before"))
				p.turn(is)
				settle()
				for _, publication := range []brokers.Publication{say("a", "1"), wake("b"), wake("b"), say("b", "2"), named("once", say("a", "3"))} {
					p.publish(t, publication)
				}
				if err := p.Leave(); err != nil {
					t.Error(err)
				}
				next.checkReceived(t, "1", "wake-up", "2", "3")
				if published := next.publish(t, named("once", say("a", "3"))); !published.Duplicate {
					t.Error("the publisher's own name for an event was not passed on")
				}
				if lines := p.logged.FilterMessageSnippet("unsent events are lost").Len(); lines != 0 {
					t.Error("the log says that events are lost")
				}
				if _, err := p.Publish(t.Context(), say("a", "4")); !errors.Is(err, brokers.ErrEnded) {
					t.Errorf("publishing after the end: %v", err)
				}
			})
		})
	}
}

func TestReplicaPassesOnAtItsEndWhatTheServerHasNotAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		next := join(t, newServer())
		p := &process{link: newLink(newServer())}
		p.start(t, p.source(""))
		p.PassOn(next.Publish)
		p.turn(silent)
		published := make(chan brokers.Published, 1)
		go func() { published <- p.publish(t, say("a", "1")) }()
		time.Sleep(patience / 2)
		if err := p.Leave(); err != nil {
			t.Error(err)
		}
		if got := <-published; !got.Unreachable || got.Position != (brokers.Position{}) {
			t.Errorf("publishing returned %+v", got)
		}
		next.checkReceived(t, "1")
	})
}

// The server is reachable but slow.
func TestReplicaDrainsItsOutboxAtItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		other := join(t, s)
		p := &process{link: newLink(s)}
		p.start(t, p.source(""))
		p.set(func() { p.link.latency = patience / 4 })
		published := make(chan brokers.Published, 3)
		for _, text := range numbersTo(3) {
			go func() { published <- p.publish(t, say("a", text)) }()
		}
		time.Sleep(patience / 10)
		if err := p.Leave(); err != nil {
			t.Error(err)
		}
		for range 3 {
			if got := <-published; got.Unreachable {
				t.Errorf("publishing returned %+v", got)
			}
		}
		settle()
		if got := other.texts()[1:]; len(got) != 3 {
			t.Errorf("the other process received %q", got)
		}
	})
}
