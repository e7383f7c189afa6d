package lot

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

func TestWaiterHeedEndsAtEventAndKeepsItNoted(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	got := make(chan Outcome, 2)
	heed := func() bool {
		return w.Heed(time.Now().Add(time.Hour), func(o Outcome) { got <- o })
	}
	w.Note()
	if !heed() {
		t.Fatal("it has heard of an event")
	}
	w.Wake()
	l.Release(wakeUp("b"))
	if len(got) != 0 {
		t.Fatal("something else ended it")
	}
	l.Release(message("a", "hello"))
	if o := <-got; o.Cause != Published || o.Event != nil {
		t.Errorf("outcome %+v", o)
	}
	if heed() {
		t.Error("it has not heard of what came before")
	}
	if !w.HasMessage() {
		t.Error("the message is not noted")
	}
	if o, parked := parkNow(w); parked || o.Event == nil || string(o.Event.Message.Body) != "hello" {
		t.Errorf("Park = %+v, %v", o, parked)
	}
	w.Note()
	if !heed() || !w.Leave() || len(got) != 0 {
		t.Error("it cannot leave")
	}
}

func TestWaiterTakeMessageLeavesWakeUps(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, Messages)
	l.Release(wakeUp("a"))
	if e := w.TakeMessage(); e != nil {
		t.Errorf("TakeMessage = %+v", e)
	}
	l.Release(message("a", "hello"))
	if e := w.TakeMessage(); e == nil || w.HasMessage() {
		t.Errorf("TakeMessage = %+v", e)
	}
}

func TestWaiterSupersedeHandsNotedEventToNewerWaiter(t *testing.T) {
	told := func(w *Waiter) string {
		if o, _ := parkNow(w); o.Event != nil && o.Event.Message != nil {
			return string(o.Event.Message.Body)
		}
		return ""
	}
	t.Run("while it asks", func(t *testing.T) {
		l := New()
		older := l.Register([]string{"a"}, Messages)
		l.Release(message("a", "hello"))
		newer := l.Register([]string{"a"}, Messages)
		older.Supersede(newer)
		newer.Note()
		if got := told(newer); got != "hello" {
			t.Errorf("the newer one is told %q", got)
		}
		if o, _ := parkNow(older); o.Cause != Superseded {
			t.Errorf("the older one: %+v", o)
		}
	})
	t.Run("while its release is spread", func(t *testing.T) {
		l := New()
		older := l.Register([]string{"a"}, Messages)
		got := make(chan Outcome, 1)
		older.Park(Parking{Until: time.Now().Add(time.Hour), Spread: time.Hour, Release: func(o Outcome) { got <- o }})
		l.Release(message("a", "hello"))
		newer := l.Register([]string{"a"}, Messages)
		older.Supersede(newer)
		if o := <-got; o.Cause != Superseded {
			t.Errorf("the older one: %+v", o)
		}
		if got := told(newer); got != "hello" {
			t.Errorf("the newer one is told %q", got)
		}
	})
	t.Run("which knows it already", func(t *testing.T) {
		l := New()
		known := brokers.Position{Epoch: "e", Offset: 7}
		older := l.Register([]string{"a"}, Messages)
		e := message("a", "hello")
		e.Position = known
		l.Release(e)
		newer := l.RegisterAfter(known, []string{"a"}, Messages)
		older.Supersede(newer)
		if got := told(newer); got != "" {
			t.Errorf("the newer one is told %q again", got)
		}
	})
	t.Run("on another channel", func(t *testing.T) {
		l := New()
		older := l.Register([]string{"a"}, Messages)
		l.Release(message("a", "hello"))
		newer := l.Register([]string{"b"}, Messages)
		older.Supersede(newer)
		if got := told(newer); got != "" {
			t.Errorf("the newer one is told %q of another channel", got)
		}
		if got := told(older); got != "hello" {
			t.Errorf("the older one is told %q", got)
		}
	})
	t.Run("that comes later", func(t *testing.T) {
		l := New()
		older, newer := l.Register([]string{"a"}, Messages), l.Register([]string{"a"}, Messages)
		older.Supersede(newer)
		l.Release(message("a", "hello"))
		if got := told(older); got != "hello" {
			t.Errorf("the older one, whose client may be the last that waits, is told %q", got)
		}
	})
}

func TestWaiterSupersedeRunsBesideOtherWaitersOfChannel(t *testing.T) {
	l := New()
	older, newer := l.Register([]string{"a"}, Messages), l.Register([]string{"a"}, Messages)
	l.Release(message("a", "hello"))
	var all sync.WaitGroup
	all.Go(func() { l.Register([]string{"a"}, Messages).Close() })
	all.Go(func() { newer.Supersede(l.Register([]string{"a"}, Messages)) })
	all.Go(func() { older.Supersede(newer) })
	all.Wait()
}

func TestWaiterEndByEndsParkEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		w := l.Register([]string{"a"}, Messages)
		begin := time.Now()
		got := park(t, w)
		w.EndBy(begin.Add(time.Second))
		w.EndBy(begin.Add(time.Minute)) // later than what is set
		if o := <-got; o.Cause != Superseded || time.Since(begin) != time.Second {
			t.Errorf("outcome %+v after %s", o, time.Since(begin))
		}
		got = park(t, w)
		w.EndBy(begin) // has passed
		if o := <-got; o.Cause != Superseded || time.Since(begin) != time.Second {
			t.Errorf("outcome %+v after %s", o, time.Since(begin))
		}
		got = park(t, w)
		w.EndBy(time.Now().Add(time.Second))
		l.Release(wakeUp("a"))
		if o := <-got; o.Cause != Published {
			t.Errorf("outcome %+v", o)
		}
		w.EndBy(time.Now()) // it is not parked
		got = park(t, w)
		synctest.Wait()
		if len(got) != 0 {
			t.Errorf("the next park ended: %+v", <-got)
		}
		w.Leave()
	})
}
