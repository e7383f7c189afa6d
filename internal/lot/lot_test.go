package lot

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// park parks w for an hour and returns where its outcome will come.
func park(t testing.TB, w *Waiter) <-chan Outcome {
	t.Helper()
	got := make(chan Outcome, 2)
	if o, ok := w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(o Outcome) { got <- o }}); !ok {
		t.Fatalf("not parked: %v", o)
	}
	return got
}

func parkNow(w *Waiter) (Outcome, bool) {
	return w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(Outcome) {}})
}

func wakeUp(channel string) brokers.Event { return brokers.Event{Channel: channel} }

func message(channel, body string) brokers.Event {
	return brokers.Event{Channel: channel, Message: &brokers.Message{Body: []byte(body)}}
}

func TestLotReleaseReleasesWaitersOfItsChannelOnly(t *testing.T) {
	l := New()
	a, ab, b := l.Register([]string{"a"}, Messages), l.Register([]string{"a", "b"}, Messages), l.Register([]string{"b"}, Messages)
	onA, onAB, onB := park(t, a), park(t, ab), park(t, b)
	if n := l.Waiting("a").Requests; n != 2 {
		t.Errorf("%d wait on a, want 2", n)
	}
	if n := l.Release(wakeUp("a")); n != 2 {
		t.Errorf("released %d, want 2", n)
	}
	for _, got := range []<-chan Outcome{onA, onAB} {
		if o := <-got; o.Cause != Published {
			t.Errorf("outcome %v, want Published", o)
		}
	}
	select {
	case o := <-onB:
		t.Errorf("b was released: %v", o)
	default:
	}
	if n := l.Release(wakeUp("nobody")); n != 0 {
		t.Errorf("released %d on a channel without waiters", n)
	}
	if n := l.Parked(); n != 1 {
		t.Errorf("%d are parked, want 1", n)
	}
}

func TestWaiterParkReturnsNotedEvent(t *testing.T) {
	l := New()
	w := l.Register([]string{"a", "b"}, Messages)
	w.Note()
	l.Release(wakeUp("b"))
	if !w.Moved() {
		t.Error("the waiter did not notice the event")
	}
	if o, parked := parkNow(w); parked || o.Cause != Published {
		t.Errorf("Park = %v, %v; want the event at once", o, parked)
	}
	if _, parked := parkNow(w); !parked {
		t.Error("the event ended a second park")
	}
}

func TestWaiterNoteForgetsWakeUps(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	l.Release(wakeUp("a"))
	w.Note()
	if w.Moved() {
		t.Error("the waiter counts an event from before Note")
	}
	if o, parked := parkNow(w); !parked {
		t.Errorf("an event from before Note ended the park: %v", o)
	}
}

func TestWaiterParkReturnsMessageFromBeforeNote(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	l.Release(wakeUp("a"))
	l.Release(message("a", "first"))
	l.Release(message("a", "second"))
	w.Note()
	o, parked := parkNow(w)
	if parked || o.Event == nil || o.Event.Message == nil || string(o.Event.Message.Body) != "first" {
		t.Errorf("Park = %v, %v; want the first message", o, parked)
	}
}

func TestLotReleaseStripsMessageForWakeUpsInterest(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, WakeUps)
	got := park(t, w)
	l.Release(message("a", "text"))
	if o := <-got; o.Cause != Published || o.Event.Message != nil {
		t.Errorf("outcome %v with message %v", o.Cause, o.Event.Message)
	}
	l.Release(message("a", "text"))
	w.Note()
	if o, parked := parkNow(w); !parked {
		t.Errorf("a message from before Note ended the park: %v", o)
	}
}

func TestWaiterParkTimesOutAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		start := time.Now()
		var got [100]time.Duration
		for i := range got {
			w := l.Register([]string{"a"}, Messages)
			w.Park(Parking{Until: start.Add(time.Duration(len(got)-i) * time.Second), Release: func(o Outcome) {
				if o.Cause != TimedOut {
					t.Errorf("outcome %v, want TimedOut", o)
				}
				got[i] = time.Since(start)
			}})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for i, after := range got {
			if want := time.Duration(len(got)-i) * time.Second; after != want {
				t.Errorf("waiter %d timed out after %v, want %v", i, after, want)
			}
		}
		if l.Parked() != 0 {
			t.Errorf("%d are still parked", l.Parked())
		}
	})
}

func TestWaiterParkEndsAtOnceAfterDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		got := make(chan Outcome, 1)
		l.Register(nil, Messages).Hold(time.Now().Add(-time.Hour), func(o Outcome) { got <- o })
		if o := <-got; o.Cause != TimedOut {
			t.Errorf("outcome %v, want TimedOut", o)
		}
	})
}

func TestWaiterHoldEndsAtDeadlineOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		w := l.Register([]string{"a"}, Messages)
		got := make(chan Outcome, 1)
		w.Hold(time.Now().Add(time.Second), func(o Outcome) { got <- o })
		l.Release(wakeUp("a"))
		l.Stop()
		w.Supersede(nil)
		if len(got) != 0 {
			t.Fatal("the hold ended before its deadline")
		}
		if o := <-got; o.Cause != TimedOut || !w.Moved() {
			t.Errorf("outcome %v, moved %v", o, w.Moved())
		}
	})
}

func TestWaiterParkSpreadsReleasesUpToDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, spread, deadline = 1000, 10 * time.Second, 5 * time.Second
		l := New()
		start := time.Now()
		var mu sync.Mutex
		var early, late, released int
		for range count {
			l.Register([]string{"a"}, Messages).Park(Parking{Until: start.Add(deadline), Spread: spread, Release: func(o Outcome) {
				if o.Cause != Published {
					t.Errorf("outcome %v, want Published", o)
				}
				mu.Lock()
				defer mu.Unlock()
				released++
				switch after := time.Since(start); {
				case after > deadline:
					t.Errorf("released after %v", after)
				case after == deadline:
					late++
				default:
					early++
				}
			}})
		}
		if n := l.Release(wakeUp("a")); n != count {
			t.Errorf("released %d, want %d", n, count)
		}
		if n := l.Release(wakeUp("a")); n != 0 {
			t.Errorf("a second event released %d that the first had", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if released != count || early < count/4 || late < count/4 {
			t.Errorf("of %d, %d were released within the spread and %d at the deadline", released, early, late)
		}
	})
}

func TestLotSetMaxParkedRefusesFurtherParks(t *testing.T) {
	l := New()
	l.SetMaxParked(1)
	first, second := l.Register([]string{"a"}, Messages), l.Register([]string{"a"}, Messages)
	park(t, first)
	if o, parked := parkNow(second); parked || o.Cause != Full {
		t.Errorf("Park = %v, %v; want Full", o, parked)
	}
	first.Leave()
	park(t, second)
}

func TestLotStopEndsAndRefusesParks(t *testing.T) {
	l := New()
	var got []<-chan Outcome
	for range 3 * deadlineCount {
		got = append(got, park(t, l.Register([]string{"a"}, Messages)))
	}
	l.Stop()
	for _, g := range got {
		if o := <-g; o.Cause != Stopped {
			t.Errorf("outcome %v, want Stopped", o)
		}
	}
	if o, parked := parkNow(l.Register([]string{"a"}, Messages)); parked || o.Cause != Stopped {
		t.Errorf("Park = %v, %v; want Stopped", o, parked)
	}
}

func TestWaiterSupersedeEndsPresentOrNextPark(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	got := park(t, w)
	w.Supersede(nil)
	if o := <-got; o.Cause != Superseded {
		t.Errorf("outcome %v, want Superseded", o)
	}
	if o, parked := parkNow(w); parked || o.Cause != Superseded {
		t.Errorf("Park = %v, %v; want Superseded", o, parked)
	}
}

func TestWaiterLeaveEndsParkWithoutOutcome(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	got := park(t, w)
	if !w.Leave() {
		t.Error("there was nothing to leave")
	}
	if l.Release(wakeUp("a")) != 0 || w.Wake() || w.Leave() || len(got) != 0 {
		t.Error("a waiter that left was released")
	}
}

func TestLotForgetsChannelsWithoutWaiters(t *testing.T) {
	l := New()
	var waiters []*Waiter
	for i := range 1000 {
		waiters = append(waiters, l.Register([]string{fmt.Sprint(i), fmt.Sprint(i + 1), "all"}, Messages))
	}
	rand.Shuffle(len(waiters), func(i, j int) { waiters[i], waiters[j] = waiters[j], waiters[i] })
	for _, w := range waiters {
		w.Close()
	}
	for i := range l.shards {
		if n := len(l.shards[i].channels); n != 0 {
			t.Errorf("%d channels are left", n)
		}
	}
}

func TestLotEachWaitingCountsParkedOnly(t *testing.T) {
	l := New()
	park(t, l.Register([]string{"a", "b"}, Messages))
	park(t, l.Register([]string{"b"}, Messages))
	l.Register([]string{"c"}, Messages)
	got := map[string]int{}
	l.EachWaiting(func(c ChannelWaiting) { got[c.Channel] = c.Requests })
	if len(got) != 2 || got["a"] != 1 || got["b"] != 2 {
		t.Errorf("EachWaiting = %v", got)
	}
}

// Everything that can end a park does so at the same moment, over and over.
func TestWaiterGetsExactlyOneOutcome(t *testing.T) {
	l := New()
	for range 2000 {
		w := l.Register([]string{"a", "b"}, Messages)
		var outcomes atomic.Int32
		_, parked := w.Park(Parking{Until: time.Now().Add(rand.N(200 * time.Microsecond)), Release: func(Outcome) { outcomes.Add(1) }})
		if !parked {
			t.Fatal("not parked")
		}
		var wg sync.WaitGroup
		var left atomic.Bool
		for _, end := range []func(){
			func() { l.Release(wakeUp("a")) },
			func() { l.Release(message("b", "text")) },
			func() { w.Wake() },
			func() { w.Supersede(nil) },
			func() { left.Store(w.Leave()) },
		} {
			wg.Go(end)
		}
		wg.Wait()
		want := int32(1)
		if left.Load() {
			want = 0
		}
		// The deadline's callback, where that one won, may still be on its way.
		for deadline := time.Now().Add(5 * time.Second); outcomes.Load() < want && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		if n := outcomes.Load(); n != want {
			t.Fatalf("%d outcomes, left %v", n, left.Load())
		}
		w.Close()
	}
	if n := l.Parked(); n != 0 {
		t.Errorf("%d count as parked at the end", n)
	}
}

// Pollers ask a "backend", a counter, and park where it has nothing new, while
// writers count on and publish. Nobody may stay parked behind the counter.
func TestLotLosesNoWakeUp(t *testing.T) {
	const pollers, writes = 20, 2000
	l := New()
	var backend atomic.Int64
	var wg sync.WaitGroup
	for i := range pollers {
		wg.Go(func() {
			w := l.Register([]string{"news", fmt.Sprint(i)}, Messages)
			defer w.Close()
			for seen := int64(0); seen < writes; {
				w.Note()
				if now := backend.Load(); now > seen {
					seen = now
					continue
				}
				got := make(chan Outcome, 1)
				o, parked := w.Park(Parking{Until: time.Now().Add(10 * time.Second), Release: func(o Outcome) { got <- o }})
				if parked {
					o = <-got
				}
				if o.Cause != Published {
					t.Errorf("poller %d parked at %d while the backend was at %d: %v", i, seen, backend.Load(), o)
					return
				}
			}
		})
	}
	for range writes {
		backend.Add(1)
		l.Release(wakeUp("news"))
	}
	wg.Wait()
}
