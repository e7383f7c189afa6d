package advise

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"
)

// span is from when a request came to when its answer had ended.
type span struct{ from, to int64 }

// writes are the successful writes of a kind, for each room that they name.
type writes struct {
	rooms map[uint64][]span // by their beginning; the room is 0 if they name none
	ends  map[uint64][]int64
	count int
}

func (e *explanation) writesOf(c *candidate) writes {
	w := writes{rooms: make(map[uint64][]span), ends: make(map[uint64][]int64)}
	for i := range c.route.records {
		it := &c.route.records[i]
		if it.answer.status < 200 || it.answer.status > 399 || it.end() < e.from || it.begun > e.to {
			continue
		}
		w.count++
		room := uint64(0)
		if c.room >= 0 {
			named, ok := it.field(c.room)
			if !ok {
				continue
			}
			room = named
		}
		w.rooms[room] = append(w.rooms[room], span{it.begun, it.end()})
	}
	for room, spans := range w.rooms {
		latest := int64(math.MinInt64)
		for _, s := range spans {
			latest = max(latest, s.to)
			w.ends[room] = append(w.ends[room], latest)
		}
	}
	return w
}

// before reports whether a change can come from one of the writes: the client asked within
// the window after it, or while it ran, for the room that it names. It returns how long
// before this ask the write had ended.
func (w *writes) before(e *explanation, c *candidate, s step) (delay time.Duration, ok bool) {
	room := uint64(0)
	if c.room >= 0 {
		if room, ok = s.now.field(e.room); !ok {
			return 0, false
		}
	}
	spans, ends := w.rooms[room], w.ends[room]
	n := sort.Search(len(spans), func(i int) bool { return spans[i].from > s.now.end() })
	if n == 0 || ends[n-1] < s.now.begun-int64(e.window) {
		return 0, false
	}
	// The first write that had not ended when the client asked the last time is the one.
	first := sort.Search(n, func(i int) bool { return ends[i] >= s.last.begun })
	if first == n {
		first = n - 1
	}
	return max(time.Duration(s.now.begun-ends[first]), 0), true
}

// changeIndex finds changes by their time.
type changeIndex struct {
	rooms map[uint64]*changeTimes
	rate  float64 // the probability that a write at any time is followed by a change
}

// changeTimes are the changes in one room, in the order in which their answers ended.
type changeTimes struct {
	spans    []span
	earliest []int64 // beginning of a change from this one on
}

func (e *explanation) indexOf(changes []step, byRoom bool) changeIndex {
	index := changeIndex{rooms: make(map[uint64]*changeTimes)}
	for _, s := range changes {
		room := uint64(0)
		if byRoom {
			var ok bool
			if room, ok = s.now.field(e.room); !ok {
				continue
			}
		}
		if index.rooms[room] == nil {
			index.rooms[room] = new(changeTimes)
		}
		index.rooms[room].spans = append(index.rooms[room].spans, span{s.now.begun, s.now.end()})
	}
	covered := int64(0)
	for _, c := range index.rooms {
		covered += c.covered(e.window)
		slices.SortFunc(c.spans, func(x, y span) int { return cmp.Compare(x.to, y.to) })
		c.earliest = make([]int64, len(c.spans))
		earliest := int64(math.MaxInt64)
		for i := len(c.spans) - 1; i >= 0; i-- {
			earliest = min(earliest, c.spans[i].from)
			c.earliest[i] = earliest
		}
	}
	rooms := 1
	if byRoom {
		rooms = max(len(e.rooms), 1)
	}
	index.rate = min(0.95, float64(covered)/float64(max(e.to-e.from, int64(e.window)))/float64(rooms))
	return index
}

// covered returns how much time lies within the window before a change.
func (c *changeTimes) covered(window time.Duration) (total int64) {
	slices.SortFunc(c.spans, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	to := int64(math.MinInt64)
	for _, s := range c.spans {
		from := max(s.from-int64(window), to)
		total += max(s.to-from, 0)
		to = max(to, s.to)
	}
	return total
}

// after returns when the first client asked that got a change within the window after a
// write.
func (c *changeTimes) after(w span, window time.Duration) (at int64, ok bool) {
	i := sort.Search(len(c.spans), func(i int) bool { return c.spans[i].to >= w.from })
	if i == len(c.spans) || c.earliest[i] > w.to+int64(window) {
		return 0, false
	}
	return c.earliest[i], true
}
