package lot

import (
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Event is an event on its way to its waiters.
type Event struct {
	brokers.Event

	came    uint64 // its number among the events that the lot has received
	once    sync.Once
	encoded []byte
}

// Encoded returns what encode makes of the event. It is made once for all waiters, and must
// not be changed.
func (e *Event) Encoded(encode func(brokers.Event) []byte) []byte {
	e.once.Do(func() { e.encoded = encode(e.Event) })
	return e.encoded
}

// bare returns the event as a wake-up, without its message.
func (e *Event) bare() *Event {
	if e.Message == nil {
		return e
	}
	return &Event{Event: brokers.Event{Channel: e.Channel, Position: e.Position, Uncounted: e.Uncounted}, came: e.came}
}

// isWakeUp reports whether the event only says that there is news.
func (e *Event) isWakeUp() bool { return e.Message == nil && !e.Lost() }

// Room limits how many events are queued for a slow subscriber.
type Room struct {
	Events int
	Bytes  int64 // of messages; a single message may be larger
}

// queue holds the events that a subscriber has not taken yet.
type queue struct {
	room       Room
	events     []*Event
	taken      []*Event // what was taken last, to be reused
	bytes      int64
	overflowed bool
}

// put queues the event. If there is no room for it, it drops all events, because a queue
// with a gap is useless. Of several wake-ups in a row only the last is kept.
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

// waiting reports whether there are events to take.
func (q *queue) waiting() bool { return q != nil && (len(q.events) > 0 || q.overflowed) }

// Take returns the events that have come for a subscriber since the last call, in order.
// The caller may use them until the next call. If overflowed is true, there was no room,
// and events are lost. From now on events are queued again.
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

// Open counts the waiter as a stream on its channels until it is closed, instead of as a
// parked request. It counts against the limit of the lot all the time, whether it is
// parked or not. Open returns false if the limit is reached.
func (w *Waiter) Open() bool {
	if !w.lot.addParked() {
		return false
	}
	w.mu.Lock()
	w.open = true
	w.mu.Unlock()
	w.stream(1)
	return true
}

// IsOpen reports whether Open has returned true.
func (w *Waiter) IsOpen() bool { return w.open }

// shut undoes Open.
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
