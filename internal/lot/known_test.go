package lot

import (
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

func messageAt(offset uint64) brokers.Event {
	return brokers.Event{Channel: "a", Position: brokers.Position{Epoch: "e", Offset: offset}, Message: &brokers.Message{}}
}

// A client that was at a process which is ahead of this one comes with a position that
// covers what this one hears only now.
func TestRegisterAfterKnownMessageDoesNotHideNext(t *testing.T) {
	l := New()
	w := l.RegisterAfter(brokers.Position{Epoch: "e", Offset: 2}, []string{"a"}, Messages)
	for offset := range uint64(4) {
		if released := l.Release(messageAt(offset + 1)); released != 0 {
			t.Errorf("message %d released %d", offset+1, released)
		}
	}
	if o, _ := parkNow(w); o.Event == nil || o.Event.Position.Offset != 3 {
		t.Errorf("Park = %+v, want message 3", o)
	}
}

func TestRegisterAfterKnownMessageReleasesNoWaiter(t *testing.T) {
	l := New()
	w := l.RegisterAfter(brokers.Position{Epoch: "e", Offset: 2}, []string{"a"}, Messages)
	got := park(t, w)
	if released := l.Release(messageAt(2)); released != 0 || l.Parked() != 1 {
		t.Errorf("a known message released %d", released)
	}
	if released := l.Release(messageAt(3)); released != 1 {
		t.Errorf("the next message released %d", released)
	}
	if o := <-got; o.Event.Position.Offset != 3 {
		t.Errorf("released by %+v", o.Event.Position)
	}
}

// Who knows of a wake-up need not have asked the backend since.
func TestRegisterAfterKnownWakeUpStillReleases(t *testing.T) {
	l := New()
	w := l.RegisterAfter(brokers.Position{Epoch: "e", Offset: 2}, []string{"a"}, Messages)
	l.Release(messageAt(1))
	wakeUp := messageAt(2)
	wakeUp.Message = nil
	l.Release(wakeUp)
	if o, _ := parkNow(w); o.Event == nil || o.Event.Position.Offset != 2 {
		t.Errorf("Park = %+v, want the wake-up", o)
	}
}

// Both have noted what came since the younger was registered, the older one also what
// came before.
func TestWaiterInheritKeepsFirstMessage(t *testing.T) {
	l := New()
	old := l.Register([]string{"a"}, Messages)
	l.Release(messageAt(1))
	young := l.Register([]string{"a"}, Messages)
	l.Release(messageAt(2))
	young.Inherit(old)
	if o, _ := parkNow(young); o.Event == nil || o.Event.Position.Offset != 1 {
		t.Errorf("Park = %+v, want message 1", o)
	}
}
