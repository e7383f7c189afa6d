package advise

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
)

// route is what is kept of the requests of one shape.
type route struct {
	key     routeKey
	seed    maphash.Seed
	seen    int    // also those whose records are forgotten
	target  string // the path and query of the last request, if it can show what is not known
	records []record
	bytes   int // what it takes on the heap, about

	names          []fieldName
	pointers       []string // of members of the answers; that at 0 stands for those without room
	pointerIndexes map[string]int
	namesBytes     int
	answers        map[uint64]*answer
	senders        map[uint64]*sender
	textCount      int

	shared *shared

	// What prepare finds out.
	prepared bool
	steady   []uint64 // credentials that tell clients apart
	roles    []Role   // of the fields, by the place of their names
	threads  []thread
	steps    []step
	rhythm   rhythm
	rule     *rule
}

// shared is what the routes of a report have in common.
type shared struct {
	names    map[uint64]string // of credentials
	renewals renewals
}

func (r *route) lastSeen() int64 {
	if len(r.records) == 0 {
		return 0
	}
	return r.records[len(r.records)-1].begun
}

// copied returns a copy for a report, so that observations can be added meanwhile.
func (r *route) copied() *route {
	return &route{
		key: r.key, seed: r.seed, seen: r.seen, target: r.target, records: slices.Clone(r.records),
		names: slices.Clone(r.names), pointers: slices.Clone(r.pointers), pointerIndexes: maps.Clone(r.pointerIndexes),
	}
}

// prepare finds out how the clients of a route ask, and what its fields are for.
func (r *route) prepare() {
	if r.prepared {
		return
	}
	r.prepared = true
	slices.SortStableFunc(r.records, func(x, y record) int { return cmp.Compare(x.begun, y.begun) })
	r.setClients()
	r.setTabs()
	r.roles = r.rolesOfFields()
	r.threads = threadsOf(r)
	r.steps = stepsOf(r.threads)
	r.rhythm = rhythmOf(r.threads)
}

// pollMethods are the methods of polls: OPTIONS and HEAD come with other requests.
var pollMethods = []string{"GET", "POST", "PROPFIND", "REPORT"}

// isPoll reports whether most requests of a route come again and again from the same
// clients, for the same thing.
func (r *route) isPoll() bool {
	switch {
	case !slices.Contains(pollMethods, r.key.method) || r.key.path == otherPath || len(r.records) == 0:
		return false
	case r.key.isWrite() && !slices.ContainsFunc(r.records, func(it record) bool { return it.answer.succeeded() }):
		return false // such as a form that redirects
	case r.streams() || r.isHandled() && len(r.records) >= minPolls/2:
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
	return r.key.isWrite() && len(r.changes(r.ruleOf())) == 0
}

// mayWriteByGet reports whether requests of a route could be writes by GET, as old applications
// have them: then what is written is in the query.
func (r *route) mayWriteByGet() bool {
	return r.key.method == "GET" && slices.ContainsFunc(r.names, func(name fieldName) bool { return name.in == inQuery })
}

// isCrawl reports whether a client asks for one thing after the other.
func (r *route) isCrawl() bool {
	// What changes by itself, such as a clock, does not make another answer.
	rule, same := r.ruleOf(), 0
	for _, s := range r.steps {
		if rule.sum(s.last.answer) == rule.sum(s.now.answer) {
			same++
		}
	}
	for i, role := range r.roles {
		if !role.changesEachTime() {
			continue
		}
		if in := r.names[i].in; in == inPath || in == inQuery && same*5 < len(r.steps) {
			return true
		}
	}
	return false
}

func (r *route) streams() bool {
	return slices.ContainsFunc(r.records, func(it record) bool { return it.facts.stream })
}

// isHandled reports whether parker handles the route already.
func (r *route) isHandled() bool {
	return slices.ContainsFunc(r.records, func(it record) bool { return it.facts.parker })
}

// fieldsOf returns the places of the fields with one of the roles, in the order of their
// names.
func (r *route) fieldsOf(roles ...Role) []int {
	var fields []int
	for i := range r.roles {
		if slices.Contains(roles, r.roles[i]) {
			fields = append(fields, i)
		}
	}
	slices.SortFunc(fields, func(x, y int) int {
		a, b := r.names[x], r.names[y]
		return cmp.Or(strings.Compare(string(a.in), string(b.in)), strings.Compare(a.name, b.name))
	})
	return fields
}
