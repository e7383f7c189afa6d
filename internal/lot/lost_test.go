package lot

import (
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// lost says that events were lost.
var lost = brokers.Event{Position: brokers.Position{Epoch: "another", Offset: 1}}

func TestLotReleaseOfLossReleasesAllWaiters(t *testing.T) {
	l := New()
	var released []Outcome
	park := func(channels []string, interest Interest) *Waiter {
		w := l.Register(channels, interest)
		w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(o Outcome) { released = append(released, o) }})
		return w
	}
	for _, interest := range []Interest{WakeUps, Messages, MessagesOnly} {
		park([]string{"a"}, interest)
		park([]string{"b", "c", "d"}, interest)
	}
	l.Release(lost)
	if len(released) != 6 {
		t.Fatalf("%d of 6 were released", len(released))
	}
	for _, o := range released {
		if o.Cause != Published || !o.Event.Lost() || o.Event.Position != lost.Position {
			t.Errorf("released with %+v", o)
		}
	}
}

func TestLotReleaseOfLossCountsOncePerWaiter(t *testing.T) {
	l := New()
	w := l.Register([]string{"a", "b", "c"}, Messages)
	outcomes := make(chan Outcome, 9)
	park := func() (Outcome, bool) {
		return w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(o Outcome) { outcomes <- o }})
	}
	park()
	l.Release(lost)
	if o := <-outcomes; !o.Event.Lost() {
		t.Fatalf("released with %+v", o)
	}
	if o, parked := park(); !parked {
		t.Errorf("released again, with %+v", o)
	}

	subscriber := l.Subscribe([]string{"a", "b", "c"}, Messages, ample)
	l.Release(lost)
	if events, _ := subscriber.Take(); len(events) != 1 {
		t.Errorf("%d events are queued for a subscriber, want one", len(events))
	}
}

func TestWaiterNoteKeepsLoss(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	l.Release(message("a", "before"))
	l.Release(lost)
	l.Release(message("a", "after"))
	w.Note()
	o, parked := w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(Outcome) {}})
	if parked || !o.Event.Lost() {
		t.Errorf("Park = %+v, %t", o, parked)
	}
}

func TestWaiterGetsMessageAfterItWasToldThatEventsWereLost(t *testing.T) {
	passOn := map[string]func(l *Lot, w *Waiter) *Waiter{
		"own": func(_ *Lot, w *Waiter) *Waiter { return w },
		"inherited": func(l *Lot, w *Waiter) *Waiter {
			heir := l.Register([]string{"a"}, Messages)
			heir.Inherit(w)
			return heir
		},
		"superseded": func(l *Lot, w *Waiter) *Waiter {
			newer := l.Register([]string{"a"}, Messages)
			w.Supersede(newer)
			return newer
		},
	}
	for order, events := range map[string][]brokers.Event{
		"message first": {message("a", "1"), lost},
		"loss first":    {lost, message("a", "1")},
		"with others":   {wakeUp("a"), lost, wakeUp("a"), message("a", "1"), wakeUp("a"), lost, message("a", "2")},
	} {
		for way, passOn := range passOn {
			t.Run(order+", "+way, func(t *testing.T) {
				l := New()
				w := l.Register([]string{"a"}, Messages)
				for _, e := range events {
					l.Release(e)
				}
				w = passOn(l, w)
				if w.HasMessage() {
					t.Error("a message comes before the loss")
				}
				if o, parked := parkNow(w); parked || !o.Event.Lost() {
					t.Errorf("the first park ended with %+v, %t", o, parked)
				}
				w.Note() // the backend is asked
				if !w.HasMessage() {
					t.Error("no message comes after the loss")
				}
				if o, parked := parkNow(w); parked || o.Event.Message == nil || string(o.Event.Message.Body) != "1" {
					t.Errorf("the second park ended with %+v, %t", o, parked)
				}
			})
		}
	}
}

// At its deadline a waiter is not parked again. A client with a position gets no message
// then, as it would not learn of the loss.
func TestTakeMessageDoesNotHideLossFromClientWithPosition(t *testing.T) {
	for _, test := range []struct {
		known    brokers.Position
		interest Interest
		want     bool
	}{
		{brokers.Position{}, Messages, true},
		{brokers.Position{Epoch: "e", Offset: 2}, Messages, false},
		{brokers.Position{}, MessagesOnly, false},
	} {
		l := New()
		w := l.RegisterAfter(test.known, []string{"a"}, test.interest)
		l.Release(lost)
		l.Release(messageAt(3))
		if got := w.TakeMessage() != nil; got != test.want {
			t.Errorf("after %v with interest %d: a message %t, want %t", test.known, test.interest, got, test.want)
		}
	}
}

func TestWakeUpIsPartOfLoss(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	l.Release(lost)
	l.Release(wakeUp("a"))
	parkNow(w)
	if o, parked := parkNow(w); !parked {
		t.Errorf("parked again, it was released with %+v", o)
	}
}

func TestSubscriberTakesLossInOrder(t *testing.T) {
	for _, interest := range []Interest{WakeUps, Messages, MessagesOnly} {
		l := New()
		w := l.Subscribe([]string{"a"}, interest, ample)
		l.Release(message("a", "1"))
		l.Release(wakeUp("a"))
		l.Release(lost)
		l.Release(wakeUp("a"))
		l.Release(message("a", "2"))
		events, _ := w.Take()
		var at []int
		for i, e := range events {
			if e.Lost() {
				at = append(at, i)
			}
		}
		if len(at) != 1 || at[0] == 0 || at[0] == len(events)-1 {
			t.Errorf("interest %d: of %d events, lost are those at %d; want one in between", interest, len(events), at)
		}
	}
}

func TestWaiterInheritKeepsLoss(t *testing.T) {
	l := New()
	from := l.Register([]string{"a"}, Messages)
	l.Release(lost)
	w := l.Register([]string{"a"}, MessagesOnly)
	w.Inherit(from)
	if o, parked := w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(Outcome) {}}); parked || !o.Event.Lost() {
		t.Errorf("Park = %+v, %t", o, parked)
	}

	queued := l.Subscribe([]string{"a"}, Messages, ample)
	l.Release(lost)
	heir := l.Subscribe([]string{"a"}, Messages, ample)
	l.Release(lost)
	heir.Inherit(queued)
	if events, _ := heir.Take(); len(events) != 2 {
		t.Errorf("%d events were inherited, want both", len(events))
	}
}
