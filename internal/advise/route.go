package advise

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// route is what is kept of the requests of one shape.
type route struct {
	key       routeKey
	seen      int // also those whose records are forgotten
	records   []record
	answers   map[uint64]*answer
	texts     int // bytes
	textCount int

	// What prepare finds out.
	roles   map[fieldName]Role
	threads []thread
	rhythm  rhythm
}

func (r *route) lastSeen() int64 {
	if len(r.records) == 0 {
		return 0
	}
	return r.records[len(r.records)-1].begun
}

// forgetAnswers forgets the answers that no record has, and returns how many bytes of texts
// they had.
func (r *route) forgetAnswers() (texts int) {
	used := make(map[*answer]bool)
	for i := range r.records {
		used[r.records[i].answer] = true
	}
	before := r.texts
	r.texts, r.textCount = 0, 0
	for it := range used {
		if it.text != "" {
			r.texts += len(it.text)
			r.textCount++
		}
	}
	maps.DeleteFunc(r.answers, func(_ uint64, it *answer) bool { return !used[it] })
	return before - r.texts
}

// copied returns a copy for a report, so that observations can be added meanwhile.
func (r *route) copied() *route {
	return &route{key: r.key, seen: r.seen, records: slices.Clone(r.records)}
}

// prepare finds out how the clients of a route ask, and what its fields are for.
func (r *route) prepare() {
	slices.SortStableFunc(r.records, func(x, y record) int { return cmp.Compare(x.begun, y.begun) })
	r.roles = rolesOf(r.records)
	r.threads = threadsOf(r)
	r.rhythm = rhythmOf(r.threads)
}

// pollMethods are the methods of polls: OPTIONS and HEAD come with other requests.
var pollMethods = []string{"GET", "POST", "PROPFIND", "REPORT"}

// isPoll reports whether most requests of a route come again and again from the same
// clients, for the same thing.
func (r *route) isPoll() bool {
	switch {
	case !slices.Contains(pollMethods, r.key.method) || r.key.path == otherPath:
		return false
	case r.streams():
		return true
	}
	if r.rhythm.asks < minPolls || r.rhythm.asks*5 < len(r.records)*2 {
		return false
	}
	return !r.isCrawl()
}

// mayWrite reports whether requests of a route could be writes: with the method of one, and
// an answer that never showed anything new.
func (r *route) mayWrite() bool {
	return r.key.isWrite() && len(r.changes(ruleOf(r))) == 0
}

// isCrawl reports whether a client asks for one thing after the other.
func (r *route) isCrawl() bool {
	same, pairs := 0, 0
	for _, pair := range r.pairs() {
		pairs++
		if pair[0].sum == pair[1].sum {
			same++
		}
	}
	for name, role := range r.roles {
		if !role.changesEachTime() {
			continue
		}
		if name.in == inPath || name.in == inQuery && same*5 < pairs {
			return true
		}
	}
	return false
}

func (r *route) streams() bool {
	return slices.ContainsFunc(r.records, func(it record) bool { return it.facts.stream })
}

// fieldsOf returns the names of the fields with a role, in the order of their names.
func (r *route) fieldsOf(role Role) []fieldName {
	var names []fieldName
	for name, it := range r.roles {
		if it == role {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(x, y fieldName) int {
		return cmp.Or(strings.Compare(string(x.in), string(y.in)), strings.Compare(x.name, y.name))
	})
	return names
}

// minSiblings is how many polls must differ in one segment of their paths only to be taken
// for one poll with a name in its path.
const minSiblings = 3

// mergeNamed makes one route of those whose paths differ in one segment, if the segment is
// a name such as that of a room: no client asks for two of them at a time.
func mergeNamed(routes []*route) []*route {
	groups := make(map[routeKey][]*route) // by the path with one segment cut out
	for _, r := range routes {
		segments := strings.Split(r.key.path, "/")
		for i := 1; i < len(segments); i++ {
			if segments[i] != "*" && segments[i] != "" {
				key := r.key
				key.path = strings.Join(slices.Concat(segments[:i], []string{"<name>"}, segments[i+1:]), "/")
				groups[key] = append(groups[key], r)
			}
		}
	}
	merged := make(map[*route]bool)
	keys := slices.SortedFunc(maps.Keys(groups), routeKey.compare)
	for _, key := range keys {
		siblings := slices.DeleteFunc(groups[key], func(r *route) bool { return merged[r] })
		if len(siblings) < minSiblings || !areRooms(siblings) {
			continue
		}
		before, _, _ := strings.Cut(key.path, "<name>")
		index := strconv.Itoa(strings.Count(before, "/") - 1)
		one := &route{key: key}
		one.key.path = strings.Replace(key.path, "<name>", "*", 1)
		for _, r := range siblings {
			merged[r] = true
			one.seen += r.seen
			name := strings.Split(r.key.path, "/")[strings.Count(before, "/")]
			for _, it := range r.records {
				it.fields = append(slices.Clone(it.fields), field{fieldName{inPath, index}, name})
				one.records = append(one.records, it)
			}
		}
		routes = append(routes, one)
	}
	return slices.DeleteFunc(routes, func(r *route) bool { return merged[r] })
}

// areRooms reports whether routes are the same for different rooms. For polls, hardly any
// client asks for more than one. Writes have the name of a room in their path if the rooms
// are written to in turn, which nothing but their number shows.
func areRooms(routes []*route) bool {
	clients, twice := make(map[uint64]bool), 0
	total := 0
	for _, r := range routes {
		if !r.key.isWrite() {
			r.prepare()
			if !r.isPoll() {
				return false
			}
		}
		own := make(map[uint64]bool)
		for i := range r.records {
			own[r.records[i].client] = true
		}
		for client := range own {
			total++
			if clients[client] {
				twice++
			}
			clients[client] = true
		}
	}
	return routes[0].key.isWrite() && len(routes) > 2*minSiblings || twice*10 <= total
}
