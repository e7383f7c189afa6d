package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

// The position, the history and the unsent entries survive until the last configuration
// has left.
func TestReplicaSurvivesReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := &process{link: newLink(s)}
		p.start(t, p.source(""))
		first := p.Broker
		start := p.Position()
		p.publish(t, say("a", "1"))
		p.turn(cut)
		settle()
		p.publish(t, say("a", "2"))

		second := p.configured(t, "")
		second.Start(roomy, p.member.Receive)
		if err := first.Leave(); err != nil {
			t.Error(err)
		}
		p.Broker = second
		p.checkEvents(t, start, []string{"a"}, "1", "wake-up")
		if p.publish(t, say("a", "3")); p.opened != 1 {
			t.Errorf("%d clients were made for one server", p.opened)
		}
		p.turn(open)
		settle()
		if got := s.texts(); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("the log has %q", got)
		}
		node := p.node
		if err := second.Leave(); err != nil {
			t.Error(err)
		}
		third := p.configured(t, "")
		third.Start(roomy, p.member.Receive)
		defer third.Leave()
		if p.Broker = third; p.node == node {
			t.Error("a process that ended goes on")
		}
		p.checkEvents(t, start, []string{"a"}, "1", "2", "3")
	})
}

func TestReplicaReconnectsWithOtherSettings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		for i, settings := range []string{"", "password", "password", "another"} {
			b := p.configured(t, settings)
			b.Start(roomy, p.member.Receive)
			defer b.Leave()
			settle()
			if want := []int{1, 2, 2, 3}[i]; p.opened != want {
				t.Errorf("by the settings %q there were %d clients, want %d", settings, p.opened, want)
			}
			other.publish(t, say("a", settings))
			if published := p.publish(t, say("a", "own")); published.Unreachable {
				t.Errorf("publishing returned %+v", published)
			}
		}
		settle()
		p.checkReceived(t, "", "own", "password", "own", "password", "own", "another", "own")
	})
}

func TestStartAppliesLimitsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		start := p.Position()
		for _, text := range numbersTo(6) {
			p.publish(t, say("a", text))
		}
		b := p.configured(t, "")
		limits := roomy
		limits.Events = 2
		b.Start(limits, p.member.Receive)
		defer b.Leave()
		p.checkLost(t, start, "a")
		p.publish(t, say("a", "6"))
		events, _, _ := p.Broker.Events(t.Context(), []string{"a"}, start, 9)
		if len(events) != 2 || brokertest.Text(events[0]) != "5" || brokertest.Text(events[1]) != "6" {
			t.Errorf("there are %v", events)
		}
		if bytes := p.Broker.Health().HistoryBytes; bytes == 0 || bytes > 2000 {
			t.Errorf("they take %d bytes", bytes)
		}
	})
}

// listening is a link that also implements [Listener].
type listening struct {
	*link
	heard chan Entry
}

func (l *listening) Listen(ctx context.Context, receive func(Entry)) error {
	for {
		select {
		case e := <-l.heard:
			if e.Channel == "" {
				return errors.New("it fails")
			}
			receive(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func TestListenDeliversOnlyToWaitingRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &process{link: newLink(newServer())}
		source, heard := p.source(""), make(chan Entry)
		source.Open = func() (Log, error) { return &listening{p.link, heard}, nil }
		p.start(t, source)
		defer p.Leave()
		c, start := brokertest.Listen(p.member, "a"), p.Position()
		p.publish(t, say("a", "1"))
		publish := func(e Entry) {
			select {
			case heard <- e:
			case <-time.After(time.Minute):
				t.Fatal("the replica does not listen")
			}
			synctest.Wait()
		}
		for _, text := range []string{"2", "3"} {
			publish(Entry{Channel: "a", Message: &brokers.Message{Body: []byte(text)}})
		}
		publish(Entry{Channel: "a"})
		publish(Entry{}) // listening fails and begins again
		publish(Entry{Channel: "a", Message: &brokers.Message{Body: []byte("4")}})
		if c.Take(9); !slices.Equal(c.Heard(), []string{"1", "2", "3", "4"}) || c.Misled() != 0 {
			t.Errorf("a client heard %q", c.Heard())
		}
		if c.Woken("a").IsZero() {
			t.Error("it was not woken")
		}
		p.checkEvents(t, start, []string{"a"}, "1")
		if got, want := p.Position(), (brokers.Position{Epoch: "epoch1", Offset: 1}); got != want {
			t.Errorf("events stand at %v, not %v", got, want)
		}
	})
}
