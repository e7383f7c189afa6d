package advise

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	shortestWindow = 2 * time.Second

	// How probable it may be that so many changes follow a write by chance. A write whose
	// path shares a name with that of the poll needs less evidence.
	chance       = 0.01
	chanceShared = 0.15

	// A GET is a write only if there is much evidence: most are not.
	chanceGet = 0.0001
	hitsOfGet = 5
	rateOfGet = 0.8

	maxPublishers = 12 // of one poll
)

// candidate is a kind of write that could explain the changes of a poll.
type candidate struct {
	route  *route
	room   int    // the field of the write that names the room of the poll, or -1
	writes writes // by room
	limit  float64

	rate float64 // of its writes after which there was a change
	hits int
	soon time.Duration
}

// explanation looks for the writes after which the answers of a poll changed.
type explanation struct {
	poll       *route
	room       int // the field that tells rooms apart, or -1
	rooms      map[uint64]bool
	windows    []time.Duration // that are tried, the shorter one first
	window     time.Duration   // the one that is tried
	from, to   int64
	candidates []*candidate
	found      []*candidate // that publish
}

// explain finds the writes after which the answers of a poll changed, or after which it was
// refused.
//
// A write explains a change if the client that got it had asked within the window after the
// write. The kind of write that explains most comes first; another one must explain some of
// what is left. Each must do so more often than chance would.
//
// Refusals that no write explains need no publisher: sessions expire.
func explain(p *Poll, r *route, changes, refusals []step, others []*route) {
	e := newExplanation(r, others)
	all := slices.Clone(e.candidates)
	left, sooner := e.find(p, changes)
	p.Unknown = len(left)
	p.Apart = Seconds(apart(left))
	if explained := len(changes) - len(left); explained > 0 {
		p.sooner = sooner / time.Duration(explained)
	}
	known := slices.Clone(e.found)
	e.candidates = slices.DeleteFunc(all, func(c *candidate) bool { return slices.Contains(known, c) })
	n := len(p.Publishers)
	e.find(p, slices.DeleteFunc(refusals, func(s step) bool {
		return slices.ContainsFunc(known, func(c *candidate) bool {
			_, ok := c.writes.before(e, c, s)
			return ok
		})
	}))
	for i := range p.Publishers[n:] {
		p.Publishers[n+i].Refuses = true
	}
	key, keyed := fieldName{}, e.room >= 0
	if keyed {
		key = r.names[e.room]
	}
	nameChannels(p, key, keyed)
}

// find adds the writes that explain changes to the publishers of a poll. It returns the changes
// that are left, and how much sooner the others would have been known, added up.
func (e *explanation) find(p *Poll, changes []step) (left []step, sooner time.Duration) {
	// What is known to publish also explains changes that were seen late.
	longest := e.windows[len(e.windows)-1]
	left = changes
	for len(left) > 0 && len(p.Publishers) < maxPublishers {
		best := e.best(left)
		if best == nil {
			break
		}
		e.window = longest
		explained := len(left)
		left = slices.DeleteFunc(slices.Clone(left), func(s step) bool {
			delay, ok := best[0].writes.before(e, best[0], s)
			sooner += delay
			return ok
		})
		if explained == len(left) {
			break
		}
		for _, c := range best[:min(len(best), maxPublishers-len(p.Publishers))] {
			p.Publishers = append(p.Publishers, e.publisher(c))
			e.found = append(e.found, c)
		}
		e.candidates = slices.DeleteFunc(e.candidates, func(c *candidate) bool { return slices.Contains(best, c) })
	}
	e.window = longest
	return left, sooner
}

func newExplanation(r *route, others []*route) *explanation {
	// The shorter window serves where writes follow each other closely: all of the time would
	// be within two seconds of one.
	short := r.rhythm.every * 3 / 2
	e := &explanation{poll: r, windows: slices.Compact([]time.Duration{short, max(shortestWindow, short)}), from: r.records[0].begun, to: r.lastSeen()}
	var writing []*route
	for _, other := range others {
		if other.key.host == r.key.host && other != r {
			writing = append(writing, other)
		}
	}
	e.room = roomOf(r, writing)
	if e.room >= 0 {
		e.rooms = valuesOf(r, e.room)
	}
	for _, other := range writing {
		c := &candidate{route: other, room: -1, limit: chance}
		if e.room >= 0 {
			c.room = sameRoom(r, other, e.room, e.rooms)
		}
		switch {
		case !other.key.isWrite():
			c.limit = chanceGet
		case sharesName(r.key.path, other.key.path):
			c.limit = chanceShared
		}
		c.writes = e.writesOf(c)
		if c.writes.count > 0 {
			e.candidates = append(e.candidates, c)
		}
	}
	return e
}

// best returns the kind of write that explains most of the changes, and those that do so
// equally well, as nothing shows which of them it is. It returns nil if what the others
// explain could be chance.
func (e *explanation) best(changes []step) []*candidate {
	for _, e.window = range e.windows {
		if best := e.bestWithin(changes); best != nil {
			return best
		}
	}
	return nil
}

func (e *explanation) bestWithin(changes []step) []*candidate {
	longest := e.window == e.windows[len(e.windows)-1]
	var best []*candidate
	indexes := make(map[bool]changeIndex) // with rooms, and without
	e.candidates = slices.DeleteFunc(e.candidates, func(c *candidate) bool {
		index, ok := indexes[c.room >= 0]
		if !ok {
			index = e.indexOf(changes, c.room >= 0)
			indexes[c.room >= 0] = index
		}
		c.measure(index, e.window)
		if c.hits == 0 {
			return longest // then it will not explain anything of what is left later
		}
		if c.rate < 0.2 || !c.route.key.isWrite() && (c.hits < hitsOfGet || c.rate < rateOfGet) || tail(c.writes.count, c.hits, index.rate) > c.limit/float64(len(e.windows)) {
			return false
		}
		switch order := c.compare(best); {
		case order > 0:
			best = []*candidate{c}
		case order == 0:
			best = append(best, c)
		}
		return false
	})
	return best
}

// compare reports whether a kind of write is a better explanation than the best so far. Of
// equally good ones, that with a name in its path is better which the poll has, too.
func (c *candidate) compare(best []*candidate) int {
	if len(best) == 0 {
		return 1
	}
	return cmp.Or(cmp.Compare(c.hits, best[0].hits), cmp.Compare(c.rate, best[0].rate), cmp.Compare(c.limit, best[0].limit))
}

func (e *explanation) publisher(c *candidate) Publisher {
	key := c.route.key
	return Publisher{
		Method: key.method, Path: key.path, Call: reportedCall(key.call), Writes: c.writes.count, Followed: c.hits,
		Within: Seconds(c.soon), Certainty: certaintyOf(c.hits), Channels: e.channels(c),
	}
}

// channels returns where the write names the room, to be completed by nameChannels.
func (e *explanation) channels(c *candidate) []string {
	if c.room < 0 {
		return nil
	}
	return []string{placeholder(c.route.names[c.room])}
}

// measure counts the writes after which there was a change.
func (c *candidate) measure(index changeIndex, window time.Duration) {
	c.hits = 0
	var delays []time.Duration
	for room, spans := range c.writes.rooms {
		changes := index.rooms[room]
		if changes == nil {
			continue
		}
		for _, w := range spans {
			if first, ok := changes.after(w, window); ok {
				c.hits++
				delays = append(delays, max(time.Duration(first-w.to), 0))
			}
		}
	}
	c.rate = float64(c.hits) / float64(c.writes.count)
	if len(delays) > 0 {
		c.soon = median(delays)
	}
}

// apart returns how long after each other the changes came, usually. Those that come together
// are one.
func apart(changes []step) time.Duration {
	times := make([]int64, 0, len(changes))
	for _, s := range changes {
		times = append(times, s.now.begun)
	}
	slices.Sort(times)
	var between []time.Duration
	last := int64(math.MinInt64)
	for _, at := range times {
		if last == math.MinInt64 {
			last = at
		} else if at-last > int64(shortestWindow) {
			between = append(between, time.Duration(at-last))
			last = at
		}
	}
	if len(between) == 0 {
		return 0
	}
	return median(between)
}
