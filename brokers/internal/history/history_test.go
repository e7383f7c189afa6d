package history

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

var roomy = brokers.History{Events: 100, MaxAge: time.Hour, MaxBytes: 1_000_000}

// remembering is a history with its owner's lock.
type remembering struct {
	mu sync.Mutex
	*History
}

func newHistory(limits brokers.History) *remembering {
	h := new(remembering)
	h.History = New(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.Sweep()
	})
	h.Limit(limits)
	return h
}

// add remembers a message at an offset, or a wake-up if text is empty.
func (h *remembering) add(offset uint64, channel, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	event := brokers.Event{Channel: channel, Position: brokers.Position{Offset: offset}}
	if text != "" {
		event.Message = &brokers.Message{Body: []byte(text)}
	}
	h.Add(event, text, 0)
}

// check fails the test unless the events after an offset have these offsets and are, or
// are not, complete.
func (h *remembering) check(t *testing.T, after uint64, channels string, limit int, complete bool, want ...uint64) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	events, gotComplete := h.After(strings.Fields(channels), after, limit)
	if got := offsets(events); !slices.Equal(got, want) || gotComplete != complete {
		t.Errorf("on %s after %d: %v, complete %t; want %v, %t", channels, after, got, gotComplete, want, complete)
	}
}

func offsets(events []brokers.Event) (offsets []uint64) {
	for _, e := range events {
		offsets = append(offsets, e.Position.Offset)
	}
	return offsets
}

// The offsets of a channel have gaps, as other channels and logs use offsets as well.
func TestHistoryAllowsGapsBetweenOffsets(t *testing.T) {
	h := newHistory(roomy)
	for _, offset := range []uint64{3, 1 << 40, 1<<40 + 7, math.MaxUint64} {
		h.add(offset, "a", fmt.Sprint(offset))
	}
	h.check(t, 0, "a", 9, true, 3, 1<<40, 1<<40+7, math.MaxUint64)
	h.check(t, 3, "a", 9, true, 1<<40, 1<<40+7, math.MaxUint64)
	h.check(t, 4, "a", 2, true, 1<<40, 1<<40+7)
	h.check(t, 1<<40+7, "a", 9, true, math.MaxUint64)
	h.check(t, math.MaxUint64, "a", 9, true)
}

func TestHistoryIsIncompleteAfterEventThatIsNotKept(t *testing.T) {
	h := newHistory(roomy)
	h.add(5, "a", "x")
	h.add(6, "b", "")
	h.Forget(8)
	if bytes := h.Bytes(); bytes != 0 {
		t.Errorf("%d bytes are left", bytes)
	}
	if _, ok := h.Named("a", "x"); ok {
		t.Error("x is remembered")
	}
	h.check(t, 7, "a", 9, false)
	h.check(t, 7, "quiet", 9, false)
	h.check(t, 8, "a b quiet", 9, true)
	h.add(9, "a", "y")
	h.check(t, 7, "a", 9, false, 9)
	h.check(t, 8, "a", 9, true, 9)
	if last := h.Last([]string{"b"}); last != 8 {
		t.Errorf("the newest on b is %d", last)
	}
	h.Forget(0)
	h.check(t, 8, "quiet", 9, true)
	h.check(t, 7, "quiet", 9, false)
}

// An event that was forgotten at once must not leave a timer that fails.
func TestHistoryTimerWorksWhileEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(roomy)
		h.add(1, "a", "x")
		h.mu.Lock()
		h.Forget(1)
		h.mu.Unlock()
		time.Sleep(30 * time.Minute)
		h.add(2, "a", "y")
		time.Sleep(45 * time.Minute)
		synctest.Wait()
		h.check(t, 1, "a", 9, true, 2)
		time.Sleep(15*time.Minute + 2*time.Second)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if bytes := h.Bytes(); bytes != 0 {
			t.Errorf("%d bytes are left", bytes)
		}
	})
}
