package memory

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// history is what is remembered of all channels. It has no lock of its own: that
// of the [events] it belongs to guards it.
//
// A gap is never silent. What a channel has forgotten, its record tells by the
// greatest offset of it. A record is dropped when nothing is left in it and its
// newest event is older than the limits' MaxAge: then the floor, which stands for
// all channels without a record, rises to that event. So a busy channel whose
// events are not kept does not make the quiet ones look as if they had a gap.
type history struct {
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

// What an entry and a record take in memory besides what is in them, in bytes.
const (
	entryBytes  = 256
	recordBytes = 256
)

// newHistory makes a history that remembers nothing before its first limit. From
// time to time it calls ring, from which [history.sweep] must be called.
func newHistory(ring func()) *history {
	return &history{start: time.Now(), records: make(map[string]*record), ring: ring}
}

func (h *history) now() time.Duration { return time.Since(h.start) }

// limit puts other limits in force.
func (h *history) limit(limits brokers.History) {
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

// add remembers an event, unless its lifetime is negative or it is larger than
// all of the history may be. Otherwise it is as [brokers.Publication] has it.
func (h *history) add(event brokers.Event, id string, lifetime time.Duration) {
	h.forgetDue()
	r := h.recordOf(event.Channel)
	r.newest, r.at = event.Position.Offset, h.now()
	event.Channel = r.name // so that the publisher's own copy is not held
	e := &entry{event: event, id: id, record: r, at: r.at, lifetime: lifetime}
	e.bytes = int64(entryBytes + len(id))
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
func (h *history) trim(r *record) {
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
func (h *history) evict() {
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
func (h *history) forgetDue() {
	for now := h.now(); len(h.queue) > 0 && h.queue[0].due <= now; {
		e := h.queue[0]
		h.take(e)
		h.settle(e.record)
	}
}

// settle leaves a trace in a record that has become empty, or drops it.
func (h *history) settle(r *record) {
	if !r.empty() {
		return
	}
	trace := &entry{record: r, at: r.at, bytes: entryBytes}
	if h.dueOf(trace) <= h.now() {
		h.drop(r)
		return
	}
	r.trace = trace
	h.put(trace)
}

func (h *history) recordOf(name string) *record {
	r := h.records[name]
	if r == nil {
		// It may be the record of a channel that had one before.
		r = &record{name: name, forgotten: h.floor}
		h.records[name] = r
		h.bytes += r.bytes()
	}
	return r
}

func (h *history) drop(r *record) {
	delete(h.records, r.name)
	h.bytes -= r.bytes()
	h.floor = max(h.floor, r.newest)
}

// put lines an entry up as the newest.
func (h *history) put(e *entry) {
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
func (h *history) take(e *entry) {
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

// named is the entry of the event that was published on the channel with the ID,
// or nil.
func (h *history) named(channel, id string) *entry {
	h.forgetDue()
	if r := h.records[channel]; r != nil {
		return r.ids[id]
	}
	return nil
}

// last is the offset of the newest event on any of the channels, or a later one.
func (h *history) last(channels []string) uint64 {
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

// after is what [brokers.Broker] calls Events.
func (h *history) after(channels []string, offset uint64, limit int) (missed []brokers.Event, complete bool) {
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
			if len(entries) > 0 && (first < 0 || entries[0].offset() < remembered[first][0].offset()) {
				first = i
			}
		}
		if first < 0 {
			return events
		}
		event := remembered[first][0].event
		if event.Message != nil {
			if limit--; limit < 0 {
				return events
			}
		}
		events = append(events, event)
		remembered[first] = remembered[first][1:]
	}
}

// sweep forgets what is due, for the sake of the memory alone.
func (h *history) sweep() {
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
func (h *history) arm() {
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

func (h *history) dueOf(e *entry) time.Duration {
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
