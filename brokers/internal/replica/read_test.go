package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

// A client received an event at one process and resumes at another, which has not read it
// yet.
func TestEventsWaitsForPositionOfProcessAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, slow := join(t, s), join(t, s)
		slow.set(func() { slow.latency = 300 * time.Millisecond })
		settle()
		var at brokers.Position
		for i := range 5 {
			at = p.publish(t, say(fmt.Sprint("channel", i), "hello")).Position
		}
		began := time.Now()
		slow.checkEvents(t, at, []string{"channel0", "channel4"})
		if took := time.Since(began); took < 300*time.Millisecond || took > time.Second {
			t.Errorf("it took %v", took)
		}
		if got := slow.Position(); got != at {
			t.Errorf("the process is at %v, not %v", got, at)
		}
		began = time.Now()
		slow.checkEvents(t, brokers.Position{Epoch: "epoch1"}, []string{"channel0"}, "hello")
		if time.Since(began) != 0 {
			t.Error("a known position waits")
		}
	})
}

// The server reported the end of the log before the event was added. The report arrives
// after the client.
func TestEventsWaitsForSecondEndOfLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		other, p := join(t, s), &process{link: newLink(s)}
		source := p.source("")
		source.Open = func() (Log, error) { return &delayed{p.link, 400 * time.Millisecond}, nil }
		p.start(t, source)
		defer p.Leave()
		time.Sleep(1200 * time.Millisecond)
		for i := range 20 {
			time.Sleep(90 * time.Millisecond)
			at := other.publish(t, say("a", fmt.Sprint(i))).Position
			p.checkEvents(t, at, []string{"a"})
		}
	})
}

func TestEventsReportsInventedPositionAsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		p.publish(t, say("a", "1"))
		for _, position := range []brokers.Position{
			{},
			{Epoch: "epoch0"},
			{Epoch: "epoch2"},
			{Epoch: "epoch1", Offset: 1000},
			{Epoch: "epoch1", Offset: 1 << 63},
		} {
			began := time.Now()
			p.checkLost(t, position, "a")
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("that %v is lost was said after %v", position, took)
			}
		}
	})
}

// Invented positions can occupy all waiting places. A known position needs none.
func TestEventsLimitsWaitingReaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := join(t, newServer())
		known := p.publish(t, say("a", "1")).Position
		settle()
		for name, madeUp := range map[string]func(i int) brokers.Position{
			"another epoch": func(i int) brokers.Position { return brokers.Position{Epoch: fmt.Sprint("epoch", 100+i)} },
			"ahead":         func(i int) brokers.Position { return brokers.Position{Epoch: known.Epoch, Offset: uint64(1000 + i)} },
			"both": func(i int) brokers.Position {
				return brokers.Position{Epoch: []string{known.Epoch, "epoch99"}[i%2], Offset: 1000}
			},
		} {
			var waiting sync.WaitGroup
			for i := range maxWaits {
				waiting.Go(func() { p.checkLost(t, madeUp(i), "a") })
			}
			synctest.Wait()
			began := time.Now()
			for i := range 10 {
				p.checkLost(t, madeUp(maxWaits+i), "a")
			}
			p.checkEvents(t, known, []string{"a"})
			if took := time.Since(began); took != 0 {
				t.Errorf("%s: beyond the bound it took %v", name, took)
			}
			waiting.Wait()
			if took := time.Since(began); took == 0 || took > 3*time.Second {
				t.Errorf("%s: the others waited for %v", name, took)
			}
			began = time.Now()
			p.checkLost(t, madeUp(0), "a")
			if time.Since(began) == 0 {
				t.Errorf("%s: no reader waits any more, but a new one cannot", name)
			}
		}
	})
}

func TestEventsEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := join(t, newServer())
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, complete, err := p.Broker.Events(ctx, []string{"a"}, brokers.Position{Epoch: "epoch1", Offset: 7}, 9)
		if took := time.Since(began); complete || !errors.Is(err, context.DeadlineExceeded) || took != 50*time.Millisecond {
			t.Errorf("complete %t, %v after %v", complete, err, took)
		}
		if _, complete, err := p.Broker.Events(ctx, []string{"a"}, p.Position(), 9); !complete || err != nil {
			t.Errorf("what needs no waiting: complete %t, %v", complete, err)
		}
	})
}

// A position of another process may cover events that this process reads later, and then
// does not give again. Accepted publications are given once they are in the log.
func TestEventsAcceptsPositionsWhileServerIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(cut)
		settle()
		c := brokertest.Listen(other.member, "a")
		other.publish(t, say("a", "1"))
		c.Take(9)
		p.publish(t, say("a", "2"))
		began := time.Now()
		c.Hop(p.member)
		c.Read(t.Context(), 9)
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		p.publish(t, say("a", "3"))
		c.Take(9)
		other.publish(t, say("a", "4"))
		p.turn(open)
		settle()
		c.Take(9)
		c.Hop(other.member)
		c.Read(t.Context(), 9)
		c.Take(9)
		if want := []string{"1", "4", "2", "3"}; !slices.Equal(c.Heard(), want) || c.Misled() != 0 {
			t.Errorf("the client heard %q, and %d times that something may be lost", c.Heard(), c.Misled())
		}
	})
}

// An event is in the log, and a client received it at another process, but the process
// that published it got no confirmation.
func TestEventsReturnsUnconfirmedEntryOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.set(func() {
			p.reading = func([]Entry) (int, error) { return 0, errCut }
			p.adding = func(entries []Entry) verdict {
				p.condition = cut
				return verdict{add: entries, err: errCut}
			}
		})
		c, elsewhere := brokertest.Listen(other.member, "a"), brokertest.Listen(p.member, "a")
		if published := p.publish(t, say("a", "1")); !published.Unreachable {
			t.Errorf("publishing returned %+v", published)
		}
		settle()
		c.Take(9)
		c.Hop(p.member)
		p.checkEvents(t, c.Position(), []string{"a"}, "wake-up")
		elsewhere.Take(9)

		p.set(func() { p.reading, p.adding = nil, nil })
		p.turn(open)
		settle()
		for _, c := range []*brokertest.Client{c, elsewhere} {
			c.Finish(t.Context(), p.member)
			c.Finish(t.Context(), other.member)
			if !slices.Equal(c.Heard(), []string{"1"}) || c.Misled() != 0 {
				t.Errorf("a client heard %q, and %d times that something may be lost", c.Heard(), c.Misled())
			}
		}
	})
}

// A client that resumes gets everything in the log, and then a wake-up for the accepted
// publications.
func TestEventsEndsWithWakeUpWhileServerIsAway(t *testing.T) {
	for limit := range 12 {
		bubble(t, func(t *testing.T) {
			p := join(t, newServer())
			start := p.Position()
			for _, text := range numbersTo(6) {
				p.publish(t, say("a", text))
			}
			p.turn(cut)
			settle()
			p.checkEvents(t, start, []string{"quiet"})
			p.publish(t, say("b", "here"))
			p.publish(t, wake("a"))
			c := brokertest.Listen(p.member, "a", "b")
			c.Return(start)
			for !c.Read(t.Context(), limit+1) {
			}
			if !slices.Equal(c.Heard(), numbersTo(6)) || c.Woken("b").IsZero() {
				t.Errorf("read %d at a time: %q", limit+1, c.Heard())
			}
			p.checkEvents(t, start, []string{"quiet"})
			p.turn(open)
			settle()
			c.Finish(t.Context(), p.member)
			if want := append(numbersTo(6), "here"); !slices.Equal(c.Heard(), want) || c.Woken("a").IsZero() || c.Misled() > 0 {
				t.Errorf("when it is back the client has heard %q", c.Heard())
			}
		})
	}
}

func TestNewestReturnsLastPositionOfChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := join(t, newServer())
		a := p.publish(t, say("a", "1")).Position
		b := p.publish(t, say("b", "2")).Position
		p.turn(cut)
		synctest.Wait()
		p.publish(t, say("a", "3"))
		for _, c := range []struct {
			channels []string
			want     brokers.Position
		}{{[]string{"b"}, b}, {[]string{"a"}, a}, {[]string{"a", "b"}, b}} {
			if got := p.Newest(c.channels); got != c.want {
				t.Errorf("the newest on %q is at %v, not %v", c.channels, got, c.want)
			}
		}
	})
}
