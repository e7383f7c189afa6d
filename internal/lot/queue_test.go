package lot

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

var ample = Room{Events: 1000, Bytes: 1 << 20}

// take takes what is queued and shows it: each message's body, and "." for a
// wake-up.
func take(t testing.TB, w *Waiter) string {
	t.Helper()
	events, overflowed := w.Take()
	if overflowed {
		t.Errorf("it overflowed, and holds %q", show(events))
	}
	return show(events)
}

func show(events []*Event) string {
	var shown []string
	for _, e := range events {
		if e.Message == nil {
			shown = append(shown, ".")
		} else {
			shown = append(shown, string(e.Message.Body))
		}
	}
	return strings.Join(shown, " ")
}

// overflowedWith checks that the next take tells of an overflow, and what it holds.
func overflowedWith(t testing.TB, w *Waiter, want string) {
	t.Helper()
	if events, overflowed := w.Take(); !overflowed || show(events) != want {
		t.Errorf("took %q, overflowed %v; want an overflow and %q", show(events), overflowed, want)
	}
}

func TestSubscriberTakesEventsOfAllChannelsInOrder(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a", "b"}, Messages, ample)
	l.Release(message("a", "1"))
	l.Release(message("b", "2"))
	l.Release(message("c", "of another channel"))
	l.Release(wakeUp("a"))
	l.Release(message("a", "3"))
	if got := take(t, w); got != "1 2 . 3" {
		t.Errorf("took %q", got)
	}
	if got := take(t, w); got != "" {
		t.Errorf("took %q again", got)
	}
}

func TestSubscriberKeepsLastOfConsecutiveWakeUps(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, Room{Events: 2})
	at := func(offset uint64) brokers.Event {
		return brokers.Event{Channel: "a", Position: brokers.Position{Offset: offset}}
	}
	for offset := range uint64(10) {
		l.Release(at(offset))
	}
	l.Release(message("a", ""))
	events, overflowed := w.Take()
	if overflowed || len(events) != 2 || events[0].Position.Offset != 9 || events[1].Message == nil {
		t.Errorf("took %v, overflowed %v; want the last wake-up and the message", events, overflowed)
	}
	l.Release(at(10))
	if events, _ := w.Take(); len(events) != 1 || events[0].Position.Offset != 10 {
		t.Errorf("took %v; want the wake-up that came after the last was taken", events)
	}
}

func TestSubscriberKeepsWakeUpsAroundMessage(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, ample)
	l.Release(wakeUp("a"))
	l.Release(message("a", "1"))
	l.Release(wakeUp("a"))
	l.Release(wakeUp("a"))
	if got := take(t, w); got != ". 1 ." {
		t.Errorf("took %q", got)
	}
}

func TestSubscriberQueueIsLimitedByEvents(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, Room{Events: 3, Bytes: math.MaxInt64})
	for i := range 3 {
		l.Release(message("a", fmt.Sprint(i)))
	}
	if got := take(t, w); got != "0 1 2" {
		t.Errorf("took %q", got)
	}
	for i := range 4 {
		l.Release(message("a", fmt.Sprint(i)))
	}
	overflowedWith(t, w, "")
}

func TestSubscriberQueueIsLimitedByBytes(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, Room{Events: 100, Bytes: 10})
	for range 3 {
		l.Release(message("a", "12345"))
		l.Release(wakeUp("a"))
		l.Release(message("a", "67890"))
		l.Release(wakeUp("a"))
		if got := take(t, w); got != "12345 . 67890 ." {
			t.Errorf("took %q", got)
		}
	}
	l.Release(message("a", "12345"))
	l.Release(message("a", "678901"))
	overflowedWith(t, w, "")
}

func TestSubscriberQueueTakesSingleMessageOfAnySize(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, Room{Events: 0, Bytes: 1})
	long := strings.Repeat("x", 1000)
	l.Release(message("a", long))
	if got := take(t, w); got != long {
		t.Errorf("took %q", got)
	}
	l.Release(message("a", long))
	l.Release(message("a", ""))
	overflowedWith(t, w, "")
}

func TestSubscriberTakeReportsOverflowOnce(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, Room{Events: 2, Bytes: 10})
	for _, body := range []string{"1", "2", "3", "4"} {
		l.Release(message("a", body))
	}
	if o, parked := parkNow(w); parked || o.Cause != Published {
		t.Errorf("Park = %v, %v; want it to end for what is to be told", o, parked)
	}
	overflowedWith(t, w, "")
	if _, parked := parkNow(w); !parked {
		t.Error("the overflow ended a park after it was told")
	}
	l.Release(message("a", "1234567890"))
	if got := take(t, w); got != "1234567890" {
		t.Errorf("took %q", got)
	}
}

func TestSubscriberTakeKeepsEventsUntilNextTake(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, ample)
	for i := range 100 {
		for j := range 3 {
			l.Release(message("a", fmt.Sprint(i, "-", j)))
		}
		events, _ := w.Take()
		taken := slices.Clone(events)
		l.Release(message("a", "later"))
		if !slices.Equal(events, taken) {
			t.Fatal("what came later stands in what was taken")
		}
		if got := take(t, w); got != "later" {
			t.Fatalf("took %q", got)
		}
	}
}

func TestSubscriberTakeReusesMemory(t *testing.T) {
	q := &queue{room: ample}
	w := &Waiter{queue: q}
	e := &Event{Event: message("a", "text")}
	if n := testing.AllocsPerRun(100, func() {
		q.put(e)
		q.put(e)
		w.Take()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSubscriberTakeFreesTakenEvents(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, ample)
	for range 3 {
		l.Release(message("a", "text"))
	}
	events, _ := w.Take()
	w.Take()
	for _, e := range events[:cap(events)] {
		if e != nil {
			t.Error("an event is still held after the next take")
		}
	}
}

func TestLotReleaseCountsEachSubscriber(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, ample)
	if n := l.Release(wakeUp("a")); n != 1 {
		t.Errorf("released %d while it was not parked, want 1", n)
	}
	w.Take()
	got := park(t, w)
	if n := l.Release(message("a", "text")); n != 1 {
		t.Errorf("released %d while it was parked, want 1", n)
	}
	if o := <-got; o.Cause != Published || o.Event != nil {
		t.Errorf("outcome %v; want Published, and the event in the queue", o)
	}
	if got := take(t, w); got != "text" {
		t.Errorf("took %q", got)
	}
}

func TestSubscriberParkReturnsQueuedEvents(t *testing.T) {
	l := New()
	w := l.Subscribe([]string{"a"}, Messages, ample)
	l.Release(wakeUp("a"))
	w.Note()
	for range 2 {
		if o, parked := parkNow(w); parked || o.Cause != Published {
			t.Errorf("Park = %v, %v; want the event at once", o, parked)
		}
	}
	w.Take()
	if _, parked := parkNow(w); !parked {
		t.Error("what was taken ended a park")
	}
}

func TestLotWaitingCountsStreamsApart(t *testing.T) {
	l := New()
	stream := l.Subscribe([]string{"a", "b"}, Messages, ample)
	request := l.Register([]string{"b"}, Messages)
	expect := func(when string, parked int, a, b Waiting) {
		t.Helper()
		if got := [2]Waiting{l.Waiting("a"), l.Waiting("b")}; got != [2]Waiting{a, b} || l.Parked() != parked {
			t.Errorf("%s %v wait and %d are parked, want %v and %d", when, got, l.Parked(), [2]Waiting{a, b}, parked)
		}
	}
	if stream.IsOpen() || !stream.Open() || !stream.IsOpen() {
		t.Error("it is open before Open, or not after it")
	}
	expect("open,", 1, Waiting{Streams: 1}, Waiting{Streams: 1})
	park(t, stream)
	park(t, request)
	expect("parked,", 2, Waiting{Streams: 1}, Waiting{Requests: 1, Streams: 1})
	seen := map[string]Waiting{}
	l.EachWaiting(func(c ChannelWaiting) { seen[c.Channel] = c.Waiting })
	if len(seen) != 2 || seen["a"] != (Waiting{Streams: 1}) || seen["b"] != (Waiting{Requests: 1, Streams: 1}) {
		t.Errorf("EachWaiting = %v", seen)
	}
	l.Release(wakeUp("b"))
	expect("released,", 1, Waiting{Streams: 1}, Waiting{Streams: 1})
	stream.Close()
	request.Close()
	expect("closed,", 0, Waiting{}, Waiting{})
}

func TestWaiterOpenCountsUntilClosed(t *testing.T) {
	l := New()
	l.SetMaxParked(1)
	stream := l.Subscribe([]string{"a"}, Messages, ample)
	other := l.Register([]string{"a"}, Messages)
	if !stream.Open() {
		t.Fatal("an empty lot has no place")
	}
	for range 3 {
		park(t, stream)
		stream.Leave()
		if o, parked := parkNow(other); parked || o.Cause != Full {
			t.Errorf("Park = %v, %v; want Full", o, parked)
		}
	}
	stream.Close()
	park(t, other)
	late := l.Subscribe([]string{"a"}, Messages, ample)
	if late.Open() || late.IsOpen() {
		t.Error("a stream opened in a full lot")
	}
	late.Close()
	if waiting := l.Waiting("a"); waiting != (Waiting{Requests: 1}) || l.Parked() != 1 {
		t.Errorf("%v wait and %d are parked after one closed that never opened", waiting, l.Parked())
	}
}

func TestSubscriberHearsEventsOfItsInterest(t *testing.T) {
	for interest, want := range map[Interest]string{Messages: ". 1 .", MessagesOnly: "1", WakeUps: "."} {
		l := New()
		w := l.Subscribe([]string{"a"}, interest, ample)
		released := l.Release(wakeUp("a")) + l.Release(message("a", "1")) + l.Release(wakeUp("a"))
		if got := take(t, w); got != want {
			t.Errorf("interest %d took %q, want %q", interest, got, want)
		}
		heard := 3
		if interest == MessagesOnly {
			heard = 1
		}
		if released != heard {
			t.Errorf("interest %d was released %d times, want %d", interest, released, heard)
		}
	}
}

func TestWaiterWithMessagesOnlyIgnoresWakeUps(t *testing.T) {
	l := New()
	w := l.Register([]string{"a"}, MessagesOnly)
	l.Release(wakeUp("a"))
	if w.Moved() {
		t.Error("it noted a wake-up")
	}
	got := park(t, w)
	if n := l.Release(wakeUp("a")); n != 0 || len(got) != 0 {
		t.Errorf("a wake-up released %d", n)
	}
	l.Release(message("a", "text"))
	if o := <-got; o.Event == nil || string(o.Event.Message.Body) != "text" {
		t.Errorf("outcome %v, want the message", o)
	}
}

func TestEventEncodedIsMadeOnce(t *testing.T) {
	l := New()
	subscribers := make([]*Waiter, 8)
	for i := range subscribers {
		subscribers[i] = l.Subscribe([]string{"a"}, Messages, ample)
	}
	l.Release(message("a", "text"))
	var times atomic.Int32
	var wg sync.WaitGroup
	for _, w := range subscribers {
		wg.Go(func() {
			events, _ := w.Take()
			encoded := events[0].Encoded(func(e brokers.Event) []byte {
				times.Add(1)
				return append([]byte("data: "), e.Message.Body...)
			})
			if string(encoded) != "data: text" {
				t.Errorf("encoded as %q", encoded)
			}
		})
	}
	wg.Wait()
	if n := times.Load(); n != 1 {
		t.Errorf("encoded %d times", n)
	}
}
