package lot

import (
	"fmt"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

// at is an event at an offset.
func at(channel string, offset uint64, message string) brokers.Event {
	e := brokers.Event{Channel: channel, Position: brokers.Position{Epoch: "e", Offset: offset}}
	if message != "" {
		e.Message = &brokers.Message{Body: []byte(message)}
	}
	return e
}

func TestWaiterInheritTakesEachEventOnce(t *testing.T) {
	for _, c := range []struct {
		interest Interest
		want     string
	}{
		{Messages, "[a:1 :2 c:3 d:4 e:5]"},
		{MessagesOnly, "[a:1 c:3 d:4 e:5]"},
		{WakeUps, "[:5]"},
	} {
		l := New()
		room := Room{Events: 10, Bytes: 100}
		old := l.Subscribe([]string{"x"}, Messages, room)
		l.Release(at("x", 1, "a"))
		l.Release(at("x", 2, ""))
		young := l.Subscribe([]string{"x", "y"}, c.interest, room)
		l.Release(at("y", 3, "c"))
		l.Release(at("x", 4, "d"))
		young.Inherit(old)
		old.Close()
		l.Release(at("x", 5, "e"))
		events, overflowed := young.Take()
		got := []string{}
		for _, e := range events {
			message := ""
			if e.Message != nil {
				message = string(e.Message.Body)
			}
			got = append(got, fmt.Sprint(message, ":", e.Position.Offset))
		}
		if fmt.Sprint(got) != c.want || overflowed {
			t.Errorf("interest %d: inherited %v (overflowed: %t), want %s", c.interest, got, overflowed, c.want)
		}
		young.Close()
	}
}

func TestWaiterInheritReleasesByInheritedMessage(t *testing.T) {
	l := New()
	old := l.Register([]string{"x"}, Messages)
	l.Release(at("x", 1, "a"))
	young := l.Register([]string{"y"}, Messages)
	l.Release(at("y", 2, ""))
	young.Inherit(old)
	young.Note()
	o, parked := young.Park(Parking{})
	if parked || o.Cause != Published || string(o.Event.Message.Body) != "a" {
		t.Errorf("parked: %t, with %+v", parked, o)
	}
}

func TestWaiterInheritKeepsOverflow(t *testing.T) {
	l := New()
	room := Room{Events: 1, Bytes: 100}
	old, young := l.Subscribe([]string{"x"}, Messages, room), l.Subscribe([]string{"y"}, Messages, room)
	l.Release(at("x", 1, "a"))
	l.Release(at("x", 2, "b"))
	young.Inherit(old)
	if events, overflowed := young.Take(); len(events) != 0 || !overflowed {
		t.Errorf("took %v, overflowed: %t", events, overflowed)
	}
}

func TestWaiterSupersedeKeepsMessageFromSubscriber(t *testing.T) {
	l := New()
	older := l.Register([]string{"a"}, Messages)
	l.Release(message("a", "1"))
	newer := l.Subscribe([]string{"a"}, Messages, Room{Events: 1})
	older.Supersede(newer)
	if o, parked := parkNow(older); parked || o.Event == nil || o.Event.Message == nil {
		t.Errorf("the older waiter was released with %+v", o)
	}
	if _, parked := parkNow(newer); !parked {
		t.Error("a stream was released without an event in its queue")
	}
}
