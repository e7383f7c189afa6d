package lot

import (
	"fmt"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

func TestLotMarkChangesWithEachEventOnChannels(t *testing.T) {
	l := New()
	channels := []string{"a", "b"}
	last := l.Mark(channels)
	for name, e := range map[string]brokers.Event{
		"on the first":            {Channel: "a"},
		"on the second":           {Channel: "b"},
		"with a message":          {Channel: "b", Message: &brokers.Message{Body: []byte("text")}},
		"that says some are lost": {},
	} {
		l.Release(e)
		now := l.Mark(channels)
		if now == last {
			t.Errorf("an event %s does not show", name)
		}
		last = now
	}
	if l.Mark(channels) != last {
		t.Error("it changed without an event")
	}
	if empty := l.Mark(nil); l.Release(brokers.Event{Channel: "a"}) != 0 || l.Mark(nil) != empty {
		t.Error("a mark of no channel changed with an event")
	}
}

// How many events on other channels look as if they were on this one is what sharing
// costs on a busy server.
func TestLotMarkRarelyChangesWithOtherChannels(t *testing.T) {
	l := New()
	const events = 100_000
	wrong := 0
	last := l.Mark([]string{"mine"})
	for i := range events {
		l.Release(brokers.Event{Channel: fmt.Sprint("other", i)})
		now := l.Mark([]string{"mine"})
		if now != last {
			wrong++
		}
		last = now
	}
	if wrong > 10*events/markCount {
		t.Errorf("%d of %d did", wrong, events)
	}
}
