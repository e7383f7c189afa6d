// Package history keeps events for a while, within limits for each channel and for all
// channels together, and keeps track of what it has forgotten.
package history

import (
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/due"
)

// History holds the events of all channels. It is not safe for concurrent use: its
// owner's lock guards it.
//
// A gap is always detected. Each channel's record holds the greatest offset that the
// channel has forgotten. A record is dropped when it is empty and its newest event is
// older than the limits' MaxAge. The floor, which applies to all channels without a
// record, then rises to that event. So a busy channel whose events are not kept does
// not make quiet channels appear to have a gap.
type History struct {
	limits  brokers.History
	records map[string]*record
	floor   uint64
	bytes   int64 // the size of all entries and records

	// All entries, in the order in which they were added.
	oldest, newest *entry

	// All entries, by when they expire, with the timer that sweeps them.
	queue due.Queue[*entry]
}

// Overhead of an entry and of a channel's record beyond their content, in bytes.
const (
	EntryBytes  = 320
	RecordBytes = 256
)

// New returns a history that keeps nothing until Limit is called. A timer of the
// history calls ring, which must call [History.Sweep].
func New(ring func()) *History {
	return &History{queue: due.New[*entry](time.Now(), sweepDelay, ring), records: make(map[string]*record)}
}

// Limit replaces the limits and forgets what exceeds them.
func (h *History) Limit(limits brokers.History) {
	h.limits = limits
	for _, e := range slices.Collect(h.queue.All) {
		h.queue.Set(e, h.dueOf(e.Value))
	}
	h.forgetDue()
	for _, r := range h.records {
		h.trim(r)
	}
	h.evict()
}

// Add remembers an event, unless its lifetime is negative or the event alone exceeds
// the limit of the whole history. The ID and the lifetime are those of
// [brokers.Publication]. The event's offset must be greater than that of every earlier
// event.
func (h *History) Add(event brokers.Event, id string, lifetime time.Duration) {
	h.forgetDue()
	r, offset := h.recordOf(event.Channel), event.Position.Offset
	r.newest, r.at = offset, h.queue.Now()
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
}

// trim brings one record within the limits per channel. Readers need only the last
// wake-up. Wake-ups with an ID are kept to detect duplicates.
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

// evict forgets the oldest entries until the history is within MaxBytes.
func (h *History) evict() {
	for h.bytes > h.limits.MaxBytes {
		r := h.oldest.record
		h.take(h.oldest)
		if r.empty() {
			h.drop(r)
		}
	}
}

// forgetDue forgets expired entries. Every lookup calls it first, so that no expired
// entry is returned.
func (h *History) forgetDue() {
	now := h.queue.Now()
	for e, ok := h.queue.Pop(now); ok; e, ok = h.queue.Pop(now) {
		h.take(e)
		h.settle(e.record)
	}
}

// settle leaves a trace in a record that has become empty, or drops the record if the
// trace would already have expired.
func (h *History) settle(r *record) {
	if !r.empty() {
		return
	}
	trace := &entry{record: r, at: r.at, bytes: EntryBytes}
	if h.dueOf(trace) <= h.queue.Now() {
		h.drop(r)
		return
	}
	r.trace = trace
	h.put(trace)
}

func (h *History) recordOf(name string) *record {
	r := h.records[name]
	if r == nil {
		// The channel may have had a record that was dropped.
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

// put adds an entry as the newest.
func (h *History) put(e *entry) {
	e.queued.Value = e
	h.queue.Set(&e.queued, h.dueOf(e))
	h.bytes += e.bytes
	e.older = h.newest
	if e.older == nil {
		h.oldest = e
	} else {
		e.older.newer = e
	}
	h.newest = e
}

// take removes an entry.
func (h *History) take(e *entry) {
	h.queue.Remove(&e.queued)
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

// Named returns the event that was published on the channel with the ID, and reports
// whether such an event is remembered.
func (h *History) Named(channel, id string) (brokers.Event, bool) {
	h.forgetDue()
	if r := h.records[channel]; r != nil && r.ids[id] != nil {
		return r.ids[id].event, true
	}
	return brokers.Event{}, false
}

// Last returns the offset of the newest event on any of the channels. For a channel
// without a record it uses the floor, which may be greater.
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

// Bytes returns the size of the history in memory, in bytes.
func (h *History) Bytes() int64 { return h.bytes }

// Forget empties the history. All events up to the offset, on every channel, count as
// forgotten from now on.
func (h *History) Forget(offset uint64) {
	for h.oldest != nil {
		h.take(h.oldest)
	}
	clear(h.records)
	h.bytes, h.floor = 0, max(h.floor, offset)
}

// After returns the events on the channels after an offset, oldest first, with at most
// limit messages, as described at [brokers.Broker.Events]. complete is false if events
// after the offset were forgotten.
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

// merge returns the events ordered by offset. It stops before the message that would
// exceed limit.
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

// Sweep forgets expired entries to free memory. Lookups do not depend on it.
func (h *History) Sweep() { h.forgetDue() }

// sweepDelay is how late the timer may fire, so that one sweep forgets several entries.
const sweepDelay = time.Second

func (h *History) dueOf(e *entry) time.Duration {
	if e.lifetime == 0 {
		return due.Later(e.at, h.limits.MaxAge)
	}
	return due.Later(e.at, e.lifetime)
}
