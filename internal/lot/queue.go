package lot

import (
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Event is one event as all its waiters get it.
type Event struct {
	brokers.Event

	came    uint64 // how many events the lot had received by then
	once    sync.Once
	encoded []byte
}

// Encoded is what encode makes of the event. It is made once, for all who get the
// event, and must not be changed.
func (e *Event) Encoded(encode func(brokers.Event) []byte) []byte {
	e.once.Do(func() { e.encoded = encode(e.Event) })
	return e.encoded
}

// bare is the event as a mere wake-up.
func (e *Event) bare() *Event {
	if e.Message == nil {
		return e
	}
	return &Event{Event: brokers.Event{Channel: e.Channel, Position: e.Position, Origin: e.Origin}, came: e.came}
}

// isWakeUp reports whether the event says no more than that there is news.
func (e *Event) isWakeUp() bool { return e.Message == nil && !e.Lost() }

// Room bounds what is queued for a subscriber that is slow to take it.
type Room struct {
	Events int
	Bytes  int64 // of messages; a single one is queued whatever its size
}

// queue is what came for a subscriber and is not taken yet.
type queue struct {
	room       Room
	events     []*Event
	taken      []*Event // what was taken last, to be used again
	bytes      int64
	overflowed bool
}

// put queues the event, or drops all there is when there is no room for it: a
// queue with a gap is of no use. Of wake-ups in a row the last stands for all.
func (q *queue) put(e *Event) {
	if q.overflowed {
		return
	}
	if last := len(q.events) - 1; last >= 0 && e.isWakeUp() && q.events[last].isWakeUp() {
		q.events[last] = e
		return
	}
	size := int64(0)
	if e.Message != nil {
		size = int64(len(e.Message.Body))
	}
	if n := len(q.events); n > 0 && (n >= q.room.Events || q.bytes+size > q.room.Bytes) {
		q.events, q.bytes, q.overflowed = nil, 0, true
		return
	}
	q.events = append(q.events, e)
	q.bytes += size
}

// waiting reports whether there is anything to take.
func (q *queue) waiting() bool { return q != nil && (len(q.events) > 0 || q.overflowed) }

// Take is what came for a subscriber since it took the last, in order; it is the
// caller's up to the next call. Overflowed means that there was no room, and that
// some or all of it is lost; from here on events are queued again.
func (w *Waiter) Take() (events []*Event, overflowed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queue
	events, overflowed = q.events, q.overflowed
	clear(q.taken)
	q.events, q.taken = q.taken[:0], events
	q.bytes, q.overflowed = 0, false
	return events, overflowed
}

// Open has the waiter counted as a stream on its channels until it is closed, and
// not among those that are parked there. It has its place in the lot for as long,
// whether it is parked or not. False means that there is none.
func (w *Waiter) Open() bool {
	if !w.lot.seat() {
		return false
	}
	w.mu.Lock()
	w.open = true
	w.mu.Unlock()
	w.stream(1)
	return true
}

// IsOpen reports whether Open has found a place for it.
func (w *Waiter) IsOpen() bool { return w.open }

// shut is the end of what Open began.
func (w *Waiter) shut() {
	if w.open {
		w.stream(-1)
		w.lot.parked.Add(-1)
	}
}

// stream adds n to the streams of the waiter's channels.
func (w *Waiter) stream(n int) {
	for i := range w.links {
		ch := w.links[i].channel
		s := w.lot.shardOf(ch.name)
		s.mu.Lock()
		ch.streams += n
		s.mu.Unlock()
	}
}
