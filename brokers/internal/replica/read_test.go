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

// TestAClientOfAProcessThatIsAheadWaitsForTheRest: it got an event at one process,
// and comes to another that has not read it yet.
func TestAClientOfAProcessThatIsAheadWaitsForTheRest(t *testing.T) {
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
			t.Error("what is known is not given at once")
		}
	})
}

// TestWhatIsOnItsWayMayBeOlderThanAPosition: that there is no more was found before
// the event was added, and is heard of after the client came.
func TestWhatIsOnItsWayMayBeOlderThanAPosition(t *testing.T) {
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

func TestAPositionThatNoProcessCanHaveGivenIsLost(t *testing.T) {
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

// TestPositionsThatAreMadeUpWaitInBoundedNumber: those of clients who come from another
// process wait for milliseconds, and what is known waits for nothing.
func TestPositionsThatAreMadeUpWaitInBoundedNumber(t *testing.T) {
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
				t.Errorf("%s: nobody waits any more, and one that comes cannot", name)
			}
		}
	})
}

func TestAClientThatLeavesDoesNotWait(t *testing.T) {
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

// TestWhileTheServerIsAwayPositionsAreBelieved: what another process has given is
// known here later, and not given twice then.
func TestWhileTheServerIsAwayPositionsAreBelieved(t *testing.T) {
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
		if want := []string{"1", "2", "3", "4"}; !slices.Equal(c.Heard(), want) || c.Misled() != 0 {
			t.Errorf("the client heard %q, and %d times that something may be lost", c.Heard(), c.Misled())
		}
	})
}

// TestWhatAClientMayKnowByAnotherNameIsNotGivenAgain: an event came to the log, and
// to a client at another process, but this process does not know that it came.
func TestWhatAClientMayKnowByAnotherNameIsNotGivenAgain(t *testing.T) {
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
		p.publish(t, say("a", "1"))
		settle()
		c.Take(9)
		c.Hop(p.member)
		if events, complete, err := p.Broker.Events(t.Context(), []string{"a"}, c.Position(), 9); complete || err != nil {
			t.Errorf("after %v: %v, complete %t, %v", c.Position(), events, complete, err)
		}
		elsewhere.Take(9)
		p.checkEvents(t, brokers.Position{Epoch: "epoch1"}, []string{"a"}, "1")

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

// TestAnEventThatWasDeliveredEarlyIsNotGivenAgainWhenItIsCounted, to a client who
// came before the one and reads after the other.
func TestAnEventThatWasDeliveredEarlyIsNotGivenAgainWhenItIsCounted(t *testing.T) {
	for limit := range 4 {
		bubble(t, func(t *testing.T) {
			p := join(t, newServer())
			p.turn(cut)
			settle()
			c := brokertest.Listen(p.member, "a")
			for i := range 3 {
				p.publish(t, say("a", fmt.Sprint(i)))
			}
			p.turn(open)
			settle()
			p.publish(t, say("a", "3"))
			for !c.Read(t.Context(), limit+1) {
			}
			c.Take(9)
			if !slices.Equal(c.Heard(), numbersTo(4)) {
				t.Errorf("read %d at a time, and then live: %q", limit+1, c.Heard())
			}
		})
	}
}

// TestPagesWhileTheServerIsAwayMissNothing: what waits for the server comes behind
// all that is in the log.
func TestPagesWhileTheServerIsAwayMissNothing(t *testing.T) {
	for limit := range 12 {
		bubble(t, func(t *testing.T) {
			p := join(t, newServer())
			start := p.Position()
			var want []string
			publish := func(channel string, publication brokers.Publication) {
				publication.Channel = channel
				p.publish(t, publication)
				want = append(want, textOf(publication.Message))
			}
			for i := range 6 {
				publish("a", say("", fmt.Sprint("log", i)))
				time.Sleep(time.Second)
			}
			p.turn(cut)
			settle()
			publish("b", wake(""))
			publish("a", say("", "here"))
			publish("a", wake(""))
			var got []string
			for at, more := start, true; more; {
				events, complete, err := p.Broker.Events(t.Context(), []string{"a", "b"}, at, limit+1)
				if !complete || err != nil {
					t.Fatalf("after %v: complete %t, %v", at, complete, err)
				}
				for _, e := range events {
					got = append(got, brokertest.Text(e))
					at = e.Position
				}
				more = len(events) > 0
			}
			if !slices.Equal(got, want) {
				t.Errorf("read %d at a time: %q, want %q", limit+1, got, want)
			}
		})
	}
}

func TestAPositionCarriesNoMoreThanItMust(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(cut)
		settle()
		p.publish(t, say("a", "1"))
		early := p.publish(t, say("b", "2")).Position
		if len(early.Ahead()) != 1 {
			t.Errorf("while the server is away: %v", early)
		}
		p.turn(open)
		settle()
		for _, p := range []*process{p, other} {
			at := p.publish(t, say("a", "3")).Position
			if at.Ahead() != nil {
				t.Errorf("when it is back: %v", at)
			}
			events, complete, _ := p.Broker.Events(t.Context(), []string{"a", "b"}, early.Merge(at), 9)
			if len(events) != 0 || !complete {
				t.Errorf("%v is given to who knows it", events)
			}
			p.publish(t, say("a", "4"))
			events, _, _ = p.Broker.Events(t.Context(), []string{"a", "b"}, early.Merge(at), 9)
			if len(events) != 1 || events[0].Position.Ahead() != nil {
				t.Errorf("the next is %+v", events)
			}
		}
	})
}

func TestTheNewestIsThatOfTheChannelsAlsoWhileTheServerIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := join(t, newServer())
		a := p.publish(t, say("a", "1")).Position
		b := p.publish(t, say("b", "2")).Position
		p.turn(cut)
		synctest.Wait()
		early := p.publish(t, say("a", "3")).Position
		for _, c := range []struct {
			channels []string
			want     brokers.Position
		}{
			{[]string{"b"}, b},
			{[]string{"a"}, brokers.NewPosition("epoch1", a.Offset, early.Ahead())},
			{[]string{"a", "b"}, early},
		} {
			got := p.Newest(c.channels)
			if got != c.want {
				t.Errorf("the newest on %q is at %v, not %v", c.channels, got, c.want)
			}
			p.checkEvents(t, got, c.channels)
		}
	})
}
