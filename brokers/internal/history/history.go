// Package history remembers events for a while, within limits for each channel and
// for all of them, and knows what it has forgotten.
package history

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// History is what is remembered of all channels. It has no lock of its own: its
// owner's guards it.
//
// A gap is never silent. What a channel has forgotten, its record tells by the
// greatest offset of it. A record is dropped when nothing is left in it and its
// newest event is older than the limits' MaxAge: then the floor, which stands for
// all channels without a record, rises to that event. So a busy channel whose
// events are not kept does not make the quiet ones look as if they had a gap.
type History struct {
	limits  brokers.History
	start   time.Time // times are counted from here
	records map[string]*record
	floor   uint64
	bytes   int64 // what entries and records take

	// All entries, in the order in which they came.
	oldest, newest *entry

	// All entries, by the time they are due, and what sweeps those that are.
	queue byDue
	timer *time.Timer
	rings time.Duration // when the timer will, or 0
	ring  func()
}

// What an entry and the record of a channel take in memory besides what is in them,
// in bytes.
const (
	EntryBytes  = 320
	RecordBytes = 256
)

// New makes a history that remembers nothing before its first Limit. From
// time to time it calls ring, from which [History.Sweep] must be called.
func New(ring func()) *History {
	return &History{start: time.Now(), records: make(map[string]*record), ring: ring}
}

func (h *History) now() time.Duration { return time.Since(h.start) }

// Limit puts other limits in force.
func (h *History) Limit(limits brokers.History) {
	h.limits = limits
	for _, e := range h.queue {
		e.due = h.dueOf(e)
	}
	heap.Init(&h.queue)
	h.forgetDue()
	for _, r := range h.records {
		h.trim(r)
	}
	h.evict()
	h.arm()
}

// Add remembers an event, unless its lifetime is negative or it is larger than
// all of the history may be. Otherwise it is as [brokers.Publication] has it. The
// event's offset is greater than that of every one before.
func (h *History) Add(event brokers.Event, id string, lifetime time.Duration) {
	h.forgetDue()
	r, offset := h.recordOf(event.Channel), event.Position.Offset
	r.newest, r.at = offset, h.now()
	event.Channel = r.name // so that the publisher's own copy is not held
	e := &entry{event: event, offset: offset, id: id, record: r, at: r.at, lifetime: lifetime}
	e.bytes = int64(EntryBytes + len(id))
	if m := event.Message; m != nil {
		e.bytes += int64(len(m.Body) + len(m.ContentType) + len(m.Type))
	}
	if lifetime < 0 || e.bytes+r.bytes() > h.limits.MaxBytes {
		r.forgotten = r.newest
	} else {
		h.put(e)
		r.remember(e)
	}
	h.trim(r)
	h.evict()
	h.arm()
}

// trim brings one record within the limits for each. Of wake-ups only the last
// is of use to readers; those with an ID are kept for the sake of the ID.
func (h *History) trim(r *record) {
	for len(r.messages) > h.limits.Events {
		h.take(r.messages[0])
	}
	if n := len(r.wakeups); n > 1 && r.wakeups[n-2].id == "" {
		h.take(r.wakeups[n-2])
	}
	for len(r.wakeups) > max(h.limits.Events, 1) {
		h.take(r.wakeups[0])
	}
	h.settle(r)
}

// evict brings all together within the ceiling, the oldest first.
func (h *History) evict() {
	for h.bytes > h.limits.MaxBytes {
		r := h.oldest.record
		h.take(h.oldest)
		if r.empty() {
			h.drop(r)
		}
	}
}

// forgetDue forgets what is due. It comes before everything that is asked of the
// history, so that nothing is found in it beyond its time.
func (h *History) forgetDue() {
	for now := h.now(); len(h.queue) > 0 && h.queue[0].due <= now; {
		e := h.queue[0]
		h.take(e)
		h.settle(e.record)
	}
}

// settle leaves a trace in a record that has become empty, or drops it.
func (h *History) settle(r *record) {
	if !r.empty() {
		return
	}
	trace := &entry{record: r, at: r.at, bytes: EntryBytes}
	if h.dueOf(trace) <= h.now() {
		h.drop(r)
		return
	}
	r.trace = trace
	h.put(trace)
}

func (h *History) recordOf(name string) *record {
	r := h.records[name]
	if r == nil {
		// It may be the record of a channel that had one before.
		r = &record{name: name, forgotten: h.floor}
		h.records[name] = r
		h.bytes += r.bytes()
	}
	return r
}

func (h *History) drop(r *record) {
	delete(h.records, r.name)
	h.bytes -= r.bytes()
	h.floor = max(h.floor, r.newest)
}

// put lines an entry up as the newest.
func (h *History) put(e *entry) {
	e.due = h.dueOf(e)
	heap.Push(&h.queue, e)
	h.bytes += e.bytes
	e.older = h.newest
	if e.older == nil {
		h.oldest = e
	} else {
		e.older.newer = e
	}
	h.newest = e
}

// take takes an entry out.
func (h *History) take(e *entry) {
	heap.Remove(&h.queue, e.place)
	h.bytes -= e.bytes
	if e.older == nil {
		h.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		h.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.record.forget(e)
}

// Named is the event that was published on the channel with the ID, if that is
// remembered.
func (h *History) Named(channel, id string) (brokers.Event, bool) {
	h.forgetDue()
	if r := h.records[channel]; r != nil && r.ids[id] != nil {
		return r.ids[id].event, true
	}
	return brokers.Event{}, false
}

// Last is the offset of the newest event on any of the channels, or a later one.
func (h *History) Last(channels []string) uint64 {
	var last uint64
	for _, name := range channels {
		if r := h.records[name]; r != nil {
			last = max(last, r.newest)
		} else {
			last = max(last, h.floor)
		}
	}
	return last
}

// Bytes is how much memory the history takes.
func (h *History) Bytes() int64 { return h.bytes }

// Forget empties the history. What came up to the offset, on any channel, is
// unknown from now on.
func (h *History) Forget(offset uint64) {
	for h.oldest != nil {
		h.take(h.oldest)
	}
	clear(h.records)
	h.bytes, h.floor = 0, max(h.floor, offset)
}

// After are the events on the channels behind an offset, as [brokers.Broker] calls
// Events: oldest first, with no more than limit messages. They are complete if
// nothing else came there.
func (h *History) After(channels []string, offset uint64, limit int) (missed []brokers.Event, complete bool) {
	h.forgetDue()
	complete = true
	var remembered [][]*entry
	for i, name := range channels {
		r := h.records[name]
		switch {
		case r == nil:
			complete = complete && offset >= h.floor
		case !slices.Contains(channels[:i], name):
			complete = complete && offset >= r.forgotten
			remembered = append(remembered, behind(r.messages, offset), behind(r.lastWakeup(), offset))
		}
	}
	return merge(remembered, limit), complete
}

// merge brings events in the order of their offsets, up to the message that
// would be one more than limit.
func merge(remembered [][]*entry, limit int) []brokers.Event {
	count := 0
	for _, entries := range remembered {
		count += len(entries)
	}
	events := make([]brokers.Event, 0, max(min(count, limit), 0))
	for {
		first := -1
		for i, entries := range remembered {
			if len(entries) > 0 && (first < 0 || entries[0].offset < remembered[first][0].offset) {
				first = i
			}
		}
		if first < 0 {
			return events
		}
		e := remembered[first][0]
		remembered[first] = remembered[first][1:]
		if e.event.Message != nil {
			if limit--; limit < 0 {
				return events
			}
		}
		events = append(events, e.event)
	}
}

// Sweep forgets what is due, for the sake of the memory alone.
func (h *History) Sweep() {
	h.rings = 0
	h.forgetDue()
	h.arm()
}

// sweepDelay is how late the timer may ring: what is due by then is forgotten at
// one go.
const sweepDelay = time.Second

// arm has the timer ring when the first entry is due. One that is taken before
// leaves the timer as it is: to ring once for nothing is cheaper than to set it
// anew each time.
func (h *History) arm() {
	if len(h.queue) == 0 || h.rings != 0 && h.rings <= later(h.queue[0].due, sweepDelay) {
		return
	}
	h.rings = later(h.queue[0].due, sweepDelay)
	wait := h.rings - h.now()
	if h.timer == nil {
		h.timer = time.AfterFunc(wait, h.ring)
	} else {
		h.timer.Reset(wait)
	}
}

func (h *History) dueOf(e *entry) time.Duration {
	if e.lifetime == 0 {
		return later(e.at, h.limits.MaxAge)
	}
	return later(e.at, e.lifetime)
}

// later is the sum of both, neither negative, or if there is none the end of all
// days.
func later(at, wait time.Duration) time.Duration {
	if wait > math.MaxInt64-at {
		return math.MaxInt64
	}
	return at + wait
}
