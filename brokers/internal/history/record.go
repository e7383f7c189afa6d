package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/due"
)

// record holds the entries of one channel. It has at least one entry.
type record struct {
	name      string
	newest    uint64        // the offset of its newest event, remembered or not
	at        time.Duration // when the newest event was published
	forgotten uint64        // the greatest offset that is missing here

	messages []*entry // ordered by offset
	wakeups  []*entry // ordered by offset; all but the last have an ID
	ids      map[string]*entry

	// trace keeps the record alive when all other entries are gone. When it expires
	// and there were newer events, a new trace replaces it.
	trace *entry
}

// entry is a remembered event, or the trace of forgotten ones.
type entry struct {
	event    brokers.Event
	offset   uint64
	id       string
	record   *record
	at       time.Duration // when it was published
	lifetime time.Duration // 0 means the history's MaxAge
	bytes    int64

	queued       due.Entry[*entry]
	older, newer *entry // neighbors in the order of publication
}

// bytes returns the size of the record without its entries.
func (r *record) bytes() int64 { return int64(RecordBytes + len(r.name)) }

func (r *record) empty() bool {
	return len(r.messages) == 0 && len(r.wakeups) == 0 && r.trace == nil
}

// remember adds the entry of the channel's newest event.
func (r *record) remember(e *entry) {
	if e.event.Message != nil {
		r.messages = append(r.messages, e)
	} else {
		r.wakeups = append(r.wakeups, e)
	}
	if e.id != "" {
		if r.ids == nil {
			r.ids = make(map[string]*entry)
		}
		r.ids[e.id] = e
	}
}

// forget removes an entry. Removing a wake-up leaves no gap if there is a later one,
// which stands for it.
func (r *record) forget(e *entry) {
	if e == r.trace {
		r.trace = nil
		return
	}
	entries := &r.wakeups
	if e.event.Message != nil {
		entries = &r.messages
	}
	at := place(*entries, e.offset)
	if e.event.Message != nil || at == len(*entries)-1 {
		r.forgotten = max(r.forgotten, e.offset)
	}
	if at == 0 {
		// Usually the oldest entry is removed, which needs no copying.
		(*entries)[0] = nil
		*entries = (*entries)[1:]
	} else {
		*entries = slices.Delete(*entries, at, at+1)
	}
	delete(r.ids, e.id)
}

// lastWakeup returns the last wake-up, which stands for all earlier ones, or nothing.
func (r *record) lastWakeup() []*entry {
	return r.wakeups[max(len(r.wakeups)-1, 0):]
}

// behind returns the entries after an offset.
func behind(entries []*entry, offset uint64) []*entry {
	at := place(entries, offset)
	if at < len(entries) && entries[at].offset == offset {
		at++
	}
	return entries[at:]
}

// place returns the index where an offset is, or would be inserted, in entries.
func place(entries []*entry, offset uint64) int {
	at, _ := slices.BinarySearchFunc(entries, offset, func(e *entry, offset uint64) int {
		return cmp.Compare(e.offset, offset)
	})
	return at
}
