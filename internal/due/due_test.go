package due

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// owner is a queue with the lock that guards it, and what fell due in it.
type owner struct {
	mu    sync.Mutex
	queue Queue[string]
	came  []string
}

func newOwner(late time.Duration) *owner {
	o := new(owner)
	o.queue = New[string](time.Now(), late, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		now := o.queue.Now()
		for value, ok := o.queue.Pop(now); ok; value, ok = o.queue.Pop(now) {
			o.came = append(o.came, value+" at "+now.String())
		}
	})
	return o
}

func (o *owner) set(e *Entry[string], at time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue.Set(e, at)
}

func TestQueueRingsOnceForAllThatAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOwner(time.Second)
		entries := []Entry[string]{{Value: "c"}, {Value: "a"}, {Value: "b"}, {Value: "removed"}, {Value: "later"}}
		for i, at := range []time.Duration{9, 7, 8, 5, 8} {
			o.set(&entries[i], at*time.Second)
		}
		o.mu.Lock()
		o.queue.Remove(&entries[3])
		o.queue.Remove(&entries[3])
		o.mu.Unlock()
		o.set(&entries[4], 20*time.Second)
		time.Sleep(time.Hour)
		synctest.Wait()
		// The timer was set for the removed entry, so it fires at 6s, in vain.
		if want := []string{"a at 8s", "b at 8s", "c at 10s", "later at 21s"}; !slices.Equal(o.came, want) {
			t.Errorf("%q fell due, want %q", o.came, want)
		}
		for range o.queue.All {
			t.Error("an entry is left in the queue")
		}
	})
}

func TestQueueRingsEarlierForAnEarlierEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOwner(0)
		first, second := Entry[string]{Value: "first"}, Entry[string]{Value: "second"}
		o.set(&second, time.Hour)
		o.set(&first, time.Minute)
		time.Sleep(2 * time.Minute)
		o.set(&first, 90*time.Minute) // again, after it fell due
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if want := []string{"first at 1m0s", "second at 1h0m0s", "first at 1h30m0s"}; !slices.Equal(o.came, want) {
			t.Errorf("%q fell due, want %q", o.came, want)
		}
	})
}
