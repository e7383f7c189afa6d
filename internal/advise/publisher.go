package advise

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	shortestWindow = 2 * time.Second

	// How probable it may be that so many changes follow a write by chance. A write whose
	// path shares a name with that of the poll needs less evidence.
	chance       = 0.01
	chanceShared = 0.15
)

// candidate is a kind of write that could explain the changes of a poll.
type candidate struct {
	route *route
	room  *fieldName // the field of the write that names the room of the poll
	rate  float64    // of its writes after which there was a change
	hits  int
	count int
	soon  time.Duration
}

// explain finds the writes after which the answers of a poll changed.
//
// A write explains a change if the client that got it had asked within the window after the
// write. The kind of write that explains most comes first; another one must explain some of
// what is left. Each must do so more often than chance would.
func explain(p *Poll, r *route, changes []step, others []*route) {
	window := max(shortestWindow, r.rhythm.every*3/2)
	key, keyed := roomOf(r, others)
	left := changes
	for len(left) > 0 {
		var best *candidate
		for _, other := range others {
			if !other.key.isWrite() || other.key.host != r.key.host {
				continue
			}
			c := measure(r, other, left, window, key, keyed)
			if c != nil && (best == nil || cmp.Or(cmp.Compare(c.hits, best.hits), cmp.Compare(c.rate, best.rate)) > 0) {
				best = c
			}
		}
		if best == nil {
			break
		}
		before := len(left)
		left = slices.DeleteFunc(slices.Clone(left), func(s step) bool { return best.explains(s, window, key) })
		if len(left) == before {
			break
		}
		p.Publishers = append(p.Publishers, Publisher{
			Method: best.route.key.method, Path: best.route.key.path, Call: reportedCall(best.route.key.call),
			Writes: best.count, Followed: best.hits, Within: best.soon,
			Channels: best.channels(),
		})
		others = slices.DeleteFunc(slices.Clone(others), func(other *route) bool { return other == best.route })
	}
	p.Unknown = len(left)
	p.Apart = apart(left)
	nameChannels(p, key, keyed)
}

// channels returns where the write names the room, to be completed by nameChannels.
func (c *candidate) channels() []string {
	if c.room == nil {
		return nil
	}
	return []string{placeholder(*c.room)}
}

// roomOf returns the field that tells the rooms or users of a poll apart, as far as a
// publisher can know it: the one that most kinds of writes name, or else one whose values
// several clients have in common. What only one client knows may be a secret.
func roomOf(r *route, others []*route) (best fieldName, ok bool) {
	names := r.fieldsOf(KeyRole)
	for _, name := range r.fieldsOf(FixedRole) {
		if name.in == inPath {
			names = append(names, name) // the only room that was seen
		}
	}
	most := 0
	for _, name := range names {
		if name.in != inPath && name.in != inQuery {
			continue
		}
		n := 0
		for _, other := range others {
			if other.key.isWrite() && sameRoom(r, other, name) != nil {
				n += 2
			}
		}
		if name.in == inPath || isShared(r, name) {
			n++
		}
		if n > most {
			best, most = name, n
		}
	}
	return best, most > 0
}

// isShared reports whether two clients had the same value of a field.
func isShared(r *route, name fieldName) bool {
	owners := make(map[string]uint64)
	for i := range r.records {
		value, ok := r.records[i].field(name)
		if !ok {
			continue
		}
		if owner, known := owners[value]; known && owner != r.records[i].client {
			return true
		}
		owners[value] = r.records[i].client
	}
	return false
}

// measure returns how often a write of a route is followed by a change. It is nil if that
// could be chance.
func measure(r, other *route, changes []step, window time.Duration, key fieldName, keyed bool) *candidate {
	c := &candidate{route: other}
	if keyed {
		c.room = sameRoom(r, other, key)
	}
	began, ended := r.records[0].begun, r.records[len(r.records)-1].begun
	var delays []time.Duration
	for i := range other.records {
		w := &other.records[i]
		if w.answer.status < 200 || w.answer.status > 399 || w.end() < began || w.begun > ended {
			continue
		}
		c.count++
		first := time.Duration(-1)
		for _, s := range changes {
			if c.explainsBy(w, s, window, key) {
				delay := max(time.Duration(s.now.begun-w.end()), 0)
				if first < 0 || delay < first {
					first = delay
				}
			}
		}
		if first >= 0 {
			c.hits++
			delays = append(delays, first)
		}
	}
	if c.hits == 0 {
		return nil
	}
	c.rate, c.soon = float64(c.hits)/float64(c.count), median(delays)
	limit := chance
	if sharesName(r.key.path, other.key.path) {
		limit = chanceShared
	}
	rooms := 1
	if c.room != nil {
		rooms = countRooms(r, key)
	}
	base := baseRate(changes, window, time.Duration(ended-began), c.room, key, rooms)
	if c.rate < 0.2 || tail(c.count, c.hits, base) > limit {
		return nil
	}
	return c
}

func (c *candidate) explains(s step, window time.Duration, key fieldName) bool {
	for i := range c.route.records {
		if c.explainsBy(&c.route.records[i], s, window, key) {
			return true
		}
	}
	return false
}

// explainsBy reports whether a write can be what a change comes from: the client asked
// within the window after it, or while it ran, for the room that it names.
func (c *candidate) explainsBy(w *record, s step, window time.Duration, key fieldName) bool {
	if s.now.end() < w.begun || s.now.begun > w.end()+int64(window) || w.answer.status < 200 || w.answer.status > 399 {
		return false
	}
	if c.room == nil {
		return true
	}
	named, ok := w.field(*c.room)
	room, known := s.now.field(key)
	return ok && known && named == room
}

// sameRoom returns the field of a write that has the values of the rooms that are polled. It
// is nil if there is none.
func sameRoom(r, other *route, key fieldName) *fieldName {
	rooms := make(map[string]bool)
	for i := range r.records {
		if room, ok := r.records[i].field(key); ok {
			rooms[room] = true
		}
	}
	matching := make(map[fieldName]int)
	distinct := make(map[fieldName]map[string]bool)
	for i := range other.records {
		for _, f := range other.records[i].fields {
			if rooms[f.value] && (f.name.in == inPath || f.name.in == inQuery) {
				matching[f.name]++
				if distinct[f.name] == nil {
					distinct[f.name] = make(map[string]bool)
				}
				distinct[f.name][f.value] = true
			}
		}
	}
	var best *fieldName
	for name, n := range matching {
		sure := len(distinct[name]) > 1 || name == key && sharesName(r.key.path, other.key.path)
		if sure && n*10 >= len(other.records)*8 && (best == nil || n > matching[*best]) {
			best = &fieldName{name.in, name.name}
		}
	}
	return best
}

func countRooms(r *route, key fieldName) int {
	rooms := make(map[string]bool)
	for i := range r.records {
		if room, ok := r.records[i].field(key); ok {
			rooms[room] = true
		}
	}
	return max(len(rooms), 1)
}

// baseRate returns how probable it is that a write at any time is followed by a change: the
// part of the time that lies within the window before one, on average over the rooms.
func baseRate(changes []step, window, period time.Duration, room *fieldName, key fieldName, rooms int) float64 {
	type span struct{ from, to int64 }
	spans := make(map[string][]span)
	for _, s := range changes {
		name := ""
		if room != nil {
			name, _ = s.now.field(key)
		}
		spans[name] = append(spans[name], span{s.now.begun - int64(window), s.now.end()})
	}
	covered := int64(0)
	for _, of := range spans {
		slices.SortFunc(of, func(x, y span) int { return cmp.Compare(x.from, y.from) })
		to := int64(math.MinInt64)
		for _, it := range of {
			covered += max(it.to-max(it.from, to), 0)
			to = max(to, it.to)
		}
	}
	return min(0.95, float64(covered)/float64(max(period, window))/float64(rooms))
}

// clusters returns the times of changes, those within one window as one.
func clusters(changes []step, window time.Duration) []int64 {
	times := make([]int64, 0, len(changes))
	for _, s := range changes {
		times = append(times, s.now.begun)
	}
	slices.Sort(times)
	var events []int64
	for _, at := range times {
		if len(events) == 0 || at-events[len(events)-1] > int64(window) {
			events = append(events, at)
		}
	}
	return events
}

// apart returns how long after each other the changes came, usually.
func apart(changes []step) time.Duration {
	events := clusters(changes, shortestWindow)
	var between []time.Duration
	for i := 1; i < len(events); i++ {
		between = append(between, time.Duration(events[i]-events[i-1]))
	}
	if len(between) == 0 {
		return 0
	}
	return median(between)
}

// tail returns the probability of at least k hits in n tries, each of probability p.
func tail(n, k int, p float64) float64 {
	if p <= 0 {
		return 0
	}
	sum := 0.0
	for i := k; i <= n; i++ {
		all, _ := math.Lgamma(float64(n + 1))
		hits, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - hits - rest + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

// sharesName reports whether two paths have a segment in common that says something.
func sharesName(a, b string) bool {
	names := make(map[string]bool)
	for _, name := range meaningful(a) {
		names[name] = true
	}
	return slices.ContainsFunc(meaningful(b), func(name string) bool { return names[name] })
}

// meaningful returns the segments of a path that can name what it is about, without
// extensions.
func meaningful(path string) []string {
	var names []string
	for _, segment := range strings.Split(path, "/") {
		name, _, _ := strings.Cut(segment, ".")
		switch name {
		case "", "*", "api", "rest", "ajax", "cgi-bin", "index", "v1", "v2", "v3", "json", "rpc", "jsonrpc":
			continue
		}
		names = append(names, name)
	}
	return names
}
