package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

func TestReplicaThatJoinsLateHasHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		for i := range 10 {
			p.publish(t, named(fmt.Sprint(i), say("a", fmt.Sprint(i))))
			p.publish(t, wake("b"))
		}
		s.trim(12)
		late := join(t, s)
		late.checkReceived(t) // history is not delivered to waiting requests
		late.checkLost(t, brokers.Position{Epoch: "epoch1", Offset: 7}, "a")
		after := brokers.Position{Epoch: "epoch1", Offset: 8}
		if last := late.checkEvents(t, after, []string{"a", "b"}, "4", "5", "6", "7", "8", "9", "wake-up"); last != p.Position() {
			t.Errorf("the last is at %v, not %v", last, p.Position())
		}
		if got, want := late.Newest([]string{"a"}), p.Newest([]string{"a"}); got != want {
			t.Errorf("the newest is at %v, not %v", got, want)
		}
		if again := late.publish(t, named("9", say("a", "again"))); !again.Duplicate {
			t.Errorf("what it read was published again: %+v", again)
		}
	})
}

// A server that sends batches is not silent, however long the whole log takes.
func TestReplicaReadsWholeLogHoweverLongItTakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		for i := range 600 {
			s.add(Entry{Channel: "a", Message: &brokers.Message{Body: []byte(fmt.Sprint(i))}})
		}
		p := join(t, s, func(l *link) { l.batch, l.latency = 10, time.Second })
		if p.Broker.Health().Reachable {
			t.Error("it is read already")
		}
		time.Sleep(70 * time.Second)
		if h := p.Broker.Health(); !h.Reachable {
			t.Errorf("%+v", h)
		}
		p.checkEvents(t, brokers.Position{Epoch: "epoch1"}, []string{"a"}, numbersTo(600)...)
		if p.logged.Len() > 0 {
			t.Errorf("%v", p.logged.All())
		}
	})
}

// A process that reads an entry late remembers it for the rest of its lifetime.
func TestReplicaCountsLifetimeFromAppend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		start := p.Position()
		lasting := func(text string, lifetime time.Duration) {
			publication := say("a", text)
			publication.Lifetime = lifetime
			p.publish(t, publication)
		}
		lasting("a minute", time.Minute)
		lasting("an hour", time.Hour)
		lasting("usual", 0)
		lasting("not at all", -1)
		time.Sleep(50 * time.Second)
		late := join(t, s)
		for _, p := range []*process{p, late} {
			events, complete, err := p.Broker.Events(t.Context(), []string{"a"}, start, 9)
			if len(events) != 3 || complete || err != nil {
				t.Errorf("after 50 s there are %d, complete %t, %v", len(events), complete, err)
			}
			p.checkEvents(t, p.Position(), []string{"a"})
		}
		time.Sleep(10 * time.Second)
		later := join(t, s)
		for _, p := range []*process{p, late, later} {
			if events, _, _ := p.Broker.Events(t.Context(), []string{"a"}, start, 9); len(events) != 2 || brokertest.Text(events[0]) != "an hour" {
				t.Errorf("after a minute there are %v", events)
			}
		}
		time.Sleep(roomy.MaxAge - time.Minute)
		for _, p := range []*process{p, late, later} {
			if events, _, _ := p.Broker.Events(t.Context(), []string{"a"}, start, 9); len(events) != 0 {
				t.Errorf("after two hours there are %v", events)
			}
		}
	})
}

// A process that is up to date reads each entry when it is added, so the entry's age is
// zero, whatever the server's clock says.
func TestReplicaIgnoresServerClockForNewEntries(t *testing.T) {
	for _, clock := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		t.Run(clock.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServer()
				s.clock = clock
				p := join(t, s)
				start := p.Position()
				publication := say("a", "1")
				publication.Lifetime = time.Minute
				p.publish(t, publication)
				p.publish(t, say("a", "2"))
				time.Sleep(59 * time.Second)
				p.checkEvents(t, start, []string{"a"}, "1", "2")
				time.Sleep(time.Second)
				p.checkLost(t, start, "a")
			})
		})
	}
}

func TestReplicaTreatsEntriesOfApplicationsAsEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		message := &brokers.Message{Body: []byte("1")}
		s.add(
			Entry{Channel: "a", Message: message, ID: "x"},
			Entry{Channel: "a", Message: message, ID: "x"},
			Entry{Channel: "a"},
			Entry{Channel: "a"},
		)
		settle()
		p.checkReceived(t, "1", "wake-up", "wake-up")
		p.checkEvents(t, brokers.Position{Epoch: "epoch1"}, []string{"a"}, "1", "wake-up")
		if !slices.Equal(p.texts(), []string{"lost", "1", "wake-up", "wake-up"}) {
			t.Errorf("received %q", p.texts())
		}
	})
}
