package delivery

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

func numbered(n int) brokers.Event { return brokers.Event{Channel: fmt.Sprint(n)} }

func TestQueueDeliversEventsOneAtATimeInOrder(t *testing.T) {
	const publishers, each = 8, 500
	var q Queue
	var order sync.Mutex // guards added, and keeps events in order
	var added, delivered []string
	var atWork atomic.Int32
	q.Receive(func(e brokers.Event) (int, func()) {
		if atWork.Add(1) != 1 {
			t.Error("two events are delivered at a time")
		}
		defer atWork.Add(-1)
		delivered = append(delivered, e.Channel)
		return len(delivered), nil
	})
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for i := range each {
				order.Lock()
				n := len(added) + 1
				added = append(added, fmt.Sprint(n))
				d := q.Add(numbered(n))
				order.Unlock()
				if i%3 == 0 {
					q.Run() // the event may be awaited later or not at all
				}
				if released := q.Await(d); released != n {
					t.Errorf("event %d is said to have released %d", n, released)
				}
			}
		})
	}
	publishing.Wait()
	if !slices.Equal(delivered, added) {
		t.Errorf("%d events were delivered, not as the %d were added", len(delivered), len(added))
	}
}

// A receiver may use the queue, as no lock is held while it runs. An event that it adds is
// delivered after the queued ones, to the receiver that is set by then.
func TestQueueCanBeUsedByReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		var delivered []string
		var third *Delivery
		q.Receive(func(e brokers.Event) (int, func()) {
			delivered = append(delivered, e.Channel)
			if e.Channel == "1" {
				third = q.Add(numbered(3))
				q.Run()
				q.Receive(func(e brokers.Event) (int, func()) {
					delivered = append(delivered, "later "+e.Channel)
					return 7, nil
				})
			}
			return 0, nil
		})
		q.Add(numbered(1))
		second := q.Add(numbered(2))
		q.Run()
		q.Await(third)
		if want := []string{"1", "later 2", "later 3"}; !slices.Equal(delivered, want) {
			t.Errorf("%q were delivered, want %q", delivered, want)
		}
		if released := q.Await(second); released != 7 {
			t.Errorf("2 is said to have released %d", released)
		}
		if released := q.Await(q.Add(numbered(4))); released != 7 {
			t.Errorf("4 is said to have released %d", released)
		}
	})
}

// Adding an event does not wait for the receiver. Only Await does.
func TestQueueAddDoesNotWaitForReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		q.Receive(func(brokers.Event) (int, func()) {
			time.Sleep(time.Second)
			return 1, nil
		})
		began := time.Now()
		q.Add(numbered(1))
		go q.Run()
		synctest.Wait()
		second := q.Add(numbered(2))
		q.Run()
		if took := time.Since(began); took != 0 {
			t.Errorf("adding an event took %v", took)
		}
		if released := q.Await(second); released != 1 || time.Since(began) != 2*time.Second {
			t.Errorf("the second released %d after %v", released, time.Since(began))
		}
	})
}

// Await returns after its own event and the earlier ones, however many others are added
// meanwhile.
func TestQueueAwaitDoesNotWaitForLaterEvents(t *testing.T) {
	for name, deliver := range map[string]func(*Queue, *Delivery){
		"Await": func(q *Queue, d *Delivery) { q.Await(d) },
		"Run":   func(q *Queue, _ *Delivery) { q.Run() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const added = 1000
				var q Queue
				var delivered []string
				all := make(chan struct{})
				q.Receive(func(e brokers.Event) (int, func()) {
					time.Sleep(time.Second)
					delivered = append(delivered, e.Channel)
					if n := len(delivered); n < added {
						q.Add(numbered(n + 2))
					} else if n > added {
						close(all)
					}
					return 0, nil
				})
				began := time.Now()
				q.Add(numbered(1))
				deliver(&q, q.Add(numbered(2)))
				if took := time.Since(began); took != 2*time.Second {
					t.Errorf("the second of the events was awaited for %v", took)
				}
				<-all
				for i, name := range delivered {
					if want := fmt.Sprint(i + 1); name != want {
						t.Fatalf("%s was delivered, not %s", name, want)
					}
				}
			})
		})
	}
}

// The remaining work for an event delays no other event, but Await waits for it.
func TestQueueRestDelaysNoOtherEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		q.Receive(func(e brokers.Event) (int, func()) {
			if e.Channel == "1" {
				return 100, func() { time.Sleep(time.Minute) }
			}
			return 1, nil
		})
		began := time.Now()
		first := q.Add(numbered(1))
		if released := q.Await(q.Add(numbered(2))); released != 1 || time.Since(began) != 0 {
			t.Errorf("the second released %d after %v", released, time.Since(began))
		}
		if released := q.Await(first); released != 100 || time.Since(began) != time.Minute {
			t.Errorf("the first released %d after %v", released, time.Since(began))
		}
	})
}

func TestQueueDropsEventsWithoutReceiver(t *testing.T) {
	var q Queue
	if released := q.Await(q.Add(numbered(1))); released != 0 {
		t.Errorf("%d were released", released)
	}
	q.Receive(func(brokers.Event) (int, func()) { return 1, nil })
	if released := q.Await(q.Add(numbered(2))); released != 1 {
		t.Errorf("%d were released", released)
	}
	q.Receive(nil)
	if released := q.Await(q.Add(numbered(3))); released != 0 {
		t.Errorf("%d were released", released)
	}
}
