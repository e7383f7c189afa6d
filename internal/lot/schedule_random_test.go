package lot

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// crowd is a lot in which all happens at once: pollers and a subscriber that wait
// for what publishers publish, and others that wake, replace and stop them. Which
// order it comes in is left to chance, so it is held to what is true of every order.
type crowd struct {
	lot      *Lot
	waiters  []*Waiter
	backends map[string]*atomic.Int64 // how many events each channel had
	stops    atomic.Bool              // the lot was stopped, or is about to be
	messages atomic.Int64             // how many were published
	parks    atomic.Int64             // how many began
	ends     atomic.Int64             // how many ended, with an outcome or without
}

// eventsInACrowd is how many events are published on each channel. The last is a
// message.
const eventsInACrowd = 20

// tooLong is how long nobody is held to whom all is given.
const tooLong = 20 * time.Second

func TestLotWithCrowdLosesAndKeepsNothing(t *testing.T) {
	for seed := range uint64(1000) {
		c := &crowd{lot: New(), backends: map[string]*atomic.Int64{"a": {}, "b": {}, "c": {}}}
		polls := [][]string{{"a", "b"}, {"b", "c"}, {"c", "a"}}
		for _, channels := range polls {
			c.waiters = append(c.waiters, c.lot.Register(channels, Messages))
		}
		subscriber := c.lot.Subscribe([]string{"a", "b", "c"}, Messages, ample)
		c.waiters = append(c.waiters, subscriber)

		var wg sync.WaitGroup
		role := uint64(0)
		begin := func(run func(*rand.Rand)) {
			role++
			random := rand.New(rand.NewPCG(seed, role))
			wg.Go(func() { run(random) })
		}
		for i, channels := range polls {
			begin(func(random *rand.Rand) { c.poll(t, random, c.waiters[i], channels) })
		}
		begin(func(random *rand.Rand) { c.listen(t, random, subscriber) })
		for channel := range c.backends {
			begin(func(random *rand.Rand) { c.publish(random, channel) })
		}
		begin(func(random *rand.Rand) { c.meddle(random, seed%4 == 0) })
		wg.Wait()

		if parks, ends := c.parks.Load(), c.ends.Load(); parks != ends {
			t.Errorf("%d parks ended %d times", parks, ends)
		}
		if n := c.lot.Parked(); n != 0 {
			t.Errorf("%d count as parked", n)
		}
		if left := leftIn(c.lot); left != "" {
			t.Error(left)
		}
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func (c *crowd) publish(random *rand.Rand, channel string) {
	for offset := uint64(1); offset <= eventsInACrowd; offset++ {
		e := brokers.Event{Channel: channel, Position: brokers.Position{Offset: offset}}
		if offset == eventsInACrowd || random.IntN(3) == 0 {
			e.Message = &brokers.Message{Body: []byte("text")}
		}
		if e.Message != nil {
			c.messages.Add(1)
		}
		c.backends[channel].Add(1)
		c.lot.Release(e)
		pause(random)
	}
}

// meddle wakes and replaces, and in the end may stop the lot.
func (c *crowd) meddle(random *rand.Rand, stops bool) {
	for range 3 * eventsInACrowd {
		w := c.waiters[random.IntN(len(c.waiters))]
		if random.IntN(100) == 0 {
			w.Supersede(nil)
		} else {
			w.Wake()
		}
		pause(random)
	}
	if stops {
		c.stops.Store(true)
		c.lot.Stop()
	}
}

// poll asks the backend, and parks while it has seen all that there is.
func (c *crowd) poll(t *testing.T, random *rand.Rand, w *Waiter, channels []string) {
	defer w.Close()
	given := map[string]uint64{} // the last message of each channel
	for {
		w.Note()
		seen := int64(0)
		for _, channel := range channels {
			seen += c.backends[channel].Load()
		}
		if seen == int64(len(channels))*eventsInACrowd {
			return
		}
		o, left := c.hold(t, random, w)
		switch {
		case left:
		case o.Cause == Published:
			if o.Event == nil {
				t.Error("an event ended a park, and none is given")
				return
			}
			e := o.Event
			if e.Message == nil {
				continue
			}
			if e.Channel != channels[0] && e.Channel != channels[1] || e.Position.Offset <= given[e.Channel] {
				t.Errorf("message %v of %s was given after %d", e.Position, e.Channel, given[e.Channel])
			}
			given[e.Channel] = e.Position.Offset
		case c.isLast(t, o):
			return
		}
	}
}

// listen takes all messages, in order and without a gap, and the wake-ups between
// them.
func (c *crowd) listen(t *testing.T, random *rand.Rand, w *Waiter) {
	defer w.Close()
	if !w.Open() {
		t.Error("there is no place for a stream")
	}
	taken, ended, messages := map[string]uint64{}, 0, int64(0)
	for ended < len(c.backends) {
		events, overflowed := w.Take()
		for _, e := range events {
			// Of wake-ups in a row only the last is there.
			if last := taken[e.Channel]; e.Position.Offset <= last {
				t.Errorf("event %v of %s came after %d", e.Position, e.Channel, last)
			}
			taken[e.Channel] = e.Position.Offset
			if e.Message != nil {
				messages++
			}
			if e.Position.Offset == eventsInACrowd {
				ended++
			}
		}
		if overflowed {
			t.Error("the queue overflowed")
		}
		if ended == len(c.backends) {
			if all := c.messages.Load(); messages != all {
				t.Errorf("%d of %d messages came", messages, all)
			}
			return
		}
		if o, left := c.hold(t, random, w); !left && o.Cause != Published && c.isLast(t, o) {
			return
		}
	}
}

// isLast reports whether an outcome is the last that a waiter gets.
func (c *crowd) isLast(t *testing.T, o Outcome) bool {
	switch o.Cause {
	case Superseded:
		return true
	case Stopped:
		if !c.stops.Load() {
			t.Error("a park was stopped in a lot that was not")
		}
		return true
	case TimedOut, Woken:
		return false
	}
	t.Errorf("outcome %v", o)
	return true
}

// hold parks, and sees that there is exactly one end: an outcome, or that it left.
func (c *crowd) hold(t *testing.T, random *rand.Rand, w *Waiter) (o Outcome, left bool) {
	patience := tooLong
	if random.IntN(4) == 0 {
		patience = time.Duration(random.IntN(50)) * time.Microsecond
	}
	var spread time.Duration
	if random.IntN(4) == 0 {
		spread = 20 * time.Microsecond
	}
	outcomes := make(chan Outcome, 2)
	began := time.Now()
	c.parks.Add(1)
	release := func(o Outcome) {
		c.ends.Add(1)
		outcomes <- o
	}
	o, parked := w.Park(Parking{Until: began.Add(patience), Spread: spread, Release: release})
	if !parked {
		c.ends.Add(1)
		return o, false
	}
	if random.IntN(4) == 0 {
		pause(random)
		left = w.Leave()
	}
	if left {
		c.ends.Add(1)
	} else {
		o = <-outcomes
	}
	if o.Cause == TimedOut && time.Since(began) < patience {
		t.Error("it timed out before its time")
	}
	if o.Cause == TimedOut && patience == tooLong {
		t.Error("an event was lost: it was parked to the end")
	}
	return o, left
}

// pause lets others run, now and then.
func pause(random *rand.Rand) {
	for range random.IntN(4) {
		runtime.Gosched()
	}
}
