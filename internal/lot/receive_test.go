package lot

import (
	"testing"
	"time"
)

// What releases many is settled at once, so that further events can come before all of
// them are called back.
func TestLotReceiveLeavesManyCallbacksToRest(t *testing.T) {
	const many = 1000
	l := New()
	var called [many]int
	var outcomes [many]Outcome
	park := func(i int, w *Waiter) (Outcome, bool) {
		return w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(o Outcome) {
			called[i]++
			outcomes[i] = o
		}})
	}
	var waiters [many]*Waiter
	for i := range waiters {
		waiters[i] = l.Register([]string{"large"}, Messages)
		if _, parked := park(i, waiters[i]); !parked {
			t.Fatal("it was not parked")
		}
	}
	released, rest := l.Receive(message("large", "first"))
	if released != many || rest == nil || called[0] != 0 || l.Parked() != 0 {
		t.Fatalf("%d were released, and %d are parked", released, l.Parked())
	}
	if released, rest := l.Receive(message("large", "second")); released != 0 || rest != nil {
		t.Errorf("%d were released once more", released)
	}
	rest()
	for i, w := range waiters {
		if o := outcomes[i]; called[i] != 1 || o.Cause != Published || string(o.Event.Message.Body) != "first" {
			t.Fatalf("waiter %d was called %d times, the last with %+v", i, called[i], o)
		}
		if o, parked := park(i, w); parked || o.Cause != Published || string(o.Event.Message.Body) != "second" {
			t.Fatalf("waiter %d was parked: %t, with %+v", i, parked, o)
		}
		w.Close()
	}
	few := l.Register([]string{"small"}, Messages)
	defer few.Close()
	park(0, few)
	if released, rest := l.Receive(message("small", "at once")); released != 1 || rest != nil || string(outcomes[0].Event.Message.Body) != "at once" {
		t.Errorf("%d were released, the last with %+v", released, outcomes[0])
	}
}
