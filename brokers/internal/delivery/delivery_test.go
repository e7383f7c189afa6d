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

func TestEventsAreDeliveredOneAtATimeInTheOrderInWhichTheyWereAdded(t *testing.T) {
	const publishers, each = 8, 500
	var q Queue
	var order sync.Mutex // guards added, and keeps events in order
	var added, delivered []string
	var atWork atomic.Int32
	q.Receive(func(e brokers.Event) int {
		if atWork.Add(1) != 1 {
			t.Error("two events are delivered at a time")
		}
		defer atWork.Add(-1)
		delivered = append(delivered, e.Channel)
		return len(delivered)
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
					q.Run() // somebody may await it later, or nobody
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

// TestWhoReceivesAnEventCanUseTheQueue: no lock is held then. What it adds is
// delivered behind what is on its way.
func TestWhoReceivesAnEventCanUseTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		var delivered []string
		q.Receive(func(e brokers.Event) int {
			delivered = append(delivered, e.Channel)
			if e.Channel == "1" {
				q.Add(numbered(3))
				q.Run()
				q.Receive(func(e brokers.Event) int {
					delivered = append(delivered, "later "+e.Channel)
					return 7
				})
			}
			return 0
		})
		q.Add(numbered(1))
		second := q.Add(numbered(2))
		q.Run()
		if want := []string{"1", "2", "later 3"}; !slices.Equal(delivered, want) {
			t.Errorf("%q were delivered, want %q", delivered, want)
		}
		if released := q.Await(second); released != 0 {
			t.Errorf("2 is said to have released %d", released)
		}
		if released := q.Await(q.Add(numbered(4))); released != 7 {
			t.Errorf("4 is said to have released %d", released)
		}
	})
}

// TestWhileAnEventIsDeliveredOthersAreAdded: who keeps them in order does not wait for
// who receives them; only who wants to know what an event released does.
func TestWhileAnEventIsDeliveredOthersAreAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		q.Receive(func(brokers.Event) int {
			time.Sleep(time.Second)
			return 1
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

func TestWithoutAReceiverEventsGoNowhere(t *testing.T) {
	var q Queue
	if released := q.Await(q.Add(numbered(1))); released != 0 {
		t.Errorf("%d were released", released)
	}
	q.Receive(func(brokers.Event) int { return 1 })
	if released := q.Await(q.Add(numbered(2))); released != 1 {
		t.Errorf("%d were released", released)
	}
	q.Receive(nil)
	if released := q.Await(q.Add(numbered(3))); released != 0 {
		t.Errorf("%d were released", released)
	}
}
