package replica

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

// A process was away while the log dropped entries that it had not read.
func TestReplicaReportsLossOfDroppedEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		const channel = "a"
		other.publish(t, say(channel, "0"))
		settle()
		before := p.Position()
		p.turn(cut)
		settle()
		p.publish(t, say(channel, "here"))
		for i := range 5 {
			other.publish(t, say(channel, fmt.Sprint(i+1)))
		}
		s.trim(2)
		p.turn(open)
		settle()
		p.checkReceived(t, "0", "wake-up", "lost", "here")
		other.checkReceived(t, "0", "1", "2", "3", "4", "5", "here")
		p.checkLost(t, before, channel)
		p.checkLost(t, brokers.Position{Epoch: "epoch1", Offset: 3}, channel)
		p.checkEvents(t, brokers.Position{Epoch: "epoch1", Offset: 4}, []string{channel}, "4", "5", "here")
		if logged := p.logged.FilterMessageSnippet("dropped unread events").Len(); logged != 1 {
			t.Errorf("%d lines say that events were dropped: %v", logged, p.logged.All())
		}
	})
}

// A process that has read no entry yet has no offset from which to detect a gap.
func TestReplicaReportsLossOfEntriesDroppedSinceEmptyLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		c, start := brokertest.Listen(p.member, "a"), p.Position()
		p.turn(cut)
		settle()
		other.publish(t, say("a", "1"))
		other.publish(t, say("a", "2"))
		s.trim(1)
		p.turn(open)
		settle()
		if c.Take(9); c.Misled() != 1 {
			t.Errorf("the client was told %d times, and heard %q", c.Misled(), c.Heard())
		}
		p.checkLost(t, start, "a")
	})
}

func TestReplicaReportsNoLossOfEmptyLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(cut)
		settle()
		other.publish(t, say("a", "1"))
		p.turn(open)
		settle()
		p.checkReceived(t, "1")
	})
}

// Earlier positions become invalid, all requests are told of the loss, and all processes
// receive the unsent entries.
func TestReplicaStartsNewLogAfterEmptying(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.publish(t, say("a", "1"))
		settle()
		before := p.Position()
		p.turn(cut)
		settle()
		p.publish(t, say("a", "2"))
		s.empty()
		settle()
		other.checkReceived(t, "1", "lost")
		p.turn(open)
		settle()
		p.checkReceived(t, "1", "wake-up", "lost", "2")
		other.checkReceived(t, "1", "lost", "2")
		other.publish(t, say("a", "3"))
		settle()
		p.checkReceived(t, "1", "wake-up", "lost", "2", "3")
		for _, p := range []*process{p, other} {
			p.checkLost(t, before, "a")
			p.checkEvents(t, brokers.Position{Epoch: "epoch2"}, []string{"a"}, "2", "3")
			if got := p.Position(); got != (brokers.Position{Epoch: "epoch2", Offset: 2}) {
				t.Errorf("events stand at %v", got)
			}
			if h := p.Broker.Health(); !h.Reachable || h.Waiting != 0 {
				t.Errorf("%+v", h)
			}
		}
	})
}

// A client was told of the loss, and given its next position, while the message was being
// sent to the new log.
func TestReplicaDeliversQueuedEventOnceInNewLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		p.turn(cut)
		settle()
		c := brokertest.Listen(p.member, "a")
		p.publish(t, say("a", "1"))
		c.Take(9)
		s.empty()
		p.set(func() {
			p.adding = func(entries []Entry) verdict { return verdict{add: entries, late: 4500 * time.Millisecond} }
		})
		p.turn(open)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if c.Take(9); c.Misled() != 1 || p.Broker.Health().Waiting != 1 {
			t.Fatalf("the client was told %d times; %+v", c.Misled(), p.Broker.Health())
		}
		c.Finish(t.Context(), p.member)
		settle()
		c.Take(9)
		c.Finish(t.Context(), p.member)
		if !slices.Equal(c.Heard(), []string{"1"}) || c.Misled() != 1 {
			t.Errorf("it heard %q, and %d times that something may be lost", c.Heard(), c.Misled())
		}
	})
}

// Again and again, the log drops entries while a process reads them.
func TestReplicaKeepsUpWithLogThatDropsAllTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		tries := 0
		p.set(func() {
			p.reading = func(read []Entry) (int, error) {
				tries++
				return 0, ErrGap
			}
		})
		s.add(Entry{Channel: "a"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.set(func() {}); tries > 60 {
			t.Errorf("in a minute it was read %d times", tries)
		}
		p.set(func() { p.reading = nil })
		settle()
		if h := p.Broker.Health(); !h.Reachable {
			t.Errorf("%+v", h)
		}
	})
}
