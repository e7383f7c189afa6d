package advise

import (
	"slices"
	"time"
)

// A client is a browser or a program. It is recognized by its address, its User-Agent, and
// its credentials: many people have one address. A cookie that changes would make many
// clients of one.
//
//   - If answers set it to another value again and again, which is then used, all values that
//     follow from one another stand for the first.
//   - If, among the requests of one address, or of one value of another cookie, it has one
//     value after the other, none comes back, and the requests go on as before, then it is
//     ignored. The cookies of two people at one address come in turn.

// renewals are the cookies that answers renew again and again.
type renewals struct {
	names map[uint64]bool
	from  map[credential]uint64 // the value from which a value follows
}

func renewalsOf(routes []*route) renewals {
	used := make(map[credential]bool)
	found := renewals{make(map[uint64]bool), make(map[credential]uint64)}
	for _, r := range routes {
		for i := range r.records {
			it := &r.records[i]
			for _, c := range it.sender.credentials {
				used[c] = true
			}
			for _, c := range it.renewed {
				if had := it.sender.credential(c.name); had != 0 && had != c.value {
					found.from[c] = had
				}
			}
		}
	}
	values, renewed := make(map[uint64]int), make(map[uint64]int)
	for c := range used {
		values[c.name]++
		if found.from[c] != 0 {
			renewed[c.name]++
		}
	}
	for name, n := range renewed {
		if n >= 3 && n*2 >= values[name] {
			found.names[name] = true
		}
	}
	return found
}

// origin returns the value from which that of a renewed cookie follows.
func (r *renewals) origin(c credential) uint64 {
	value := c.value
	for range 200 { // there could be a circle
		before := r.from[credential{c.name, value}]
		if before == 0 || before == c.value {
			break
		}
		value = before
	}
	if value != c.value {
		r.from[c] = value // the way is shorter the next time
	}
	return value
}

// setClients sets the client of each record, in order of time.
func (r *route) setClients() {
	r.steady = r.steadyCredentials()
	steady := make(map[uint64]bool, len(r.steady))
	for _, name := range r.steady {
		steady[name] = true
	}
	for i := range r.records {
		it := &r.records[i]
		it.client = it.sender.client
		for _, c := range it.sender.credentials {
			switch {
			case steady[c.name]:
				it.client = mix(it.client, c.name^c.value)
			case r.shared.renewals.names[c.name]:
				it.client = mix(it.client, c.name^r.shared.renewals.origin(c))
			}
		}
	}
}

// maxExamined limits the credentials of one route that are examined.
const maxExamined = 8

// steadyCredentials returns the names of the credentials that keep their values in each client
// of a route.
func (r *route) steadyCredentials() []uint64 {
	var names []uint64
	values := make(map[credential]bool)
	count := make(map[uint64]int)
	for i := range r.records {
		for _, c := range r.records[i].sender.credentials {
			if !values[c] {
				values[c] = true
				count[c.name]++
			}
		}
	}
	for name := range count {
		if !r.shared.renewals.names[name] {
			names = append(names, name)
		}
	}
	// Those with the fewest values come first: what depends on them is found after them.
	slices.SortFunc(names, func(x, y uint64) int {
		if count[x] != count[y] {
			return count[x] - count[y]
		}
		return map[bool]int{true: -1, false: 1}[x < y]
	})
	var steady []uint64
	for i, name := range names {
		changing := false
		if count[name] >= 4 && i < 2*maxExamined {
			changing = r.changesByItself(name, 0)
			for _, other := range steady[:min(len(steady), maxExamined)] {
				changing = changing || r.changesByItself(name, other)
			}
		}
		if !changing {
			steady = append(steady, name)
		}
	}
	return steady
}

// succession is how the values of a credential follow one another in a group of requests.
type succession struct {
	last     uint64
	begun    int64
	requests int
}

// changesByItself reports whether a credential has one value after the other within each
// group of the requests that have a client and the value of another credential in common.
func (r *route) changesByItself(name, other uint64) bool {
	type use struct{ group, value uint64 }
	groups := make(map[uint64]*succession)
	used := make(map[use]bool)
	new, back := 0, 0
	var within, between []time.Duration
	for i := range r.records {
		it := &r.records[i]
		value := it.sender.credential(name)
		if value == 0 {
			continue
		}
		key := it.sender.client
		if other != 0 {
			key = mix(key, it.sender.credential(other))
		}
		g := groups[key]
		if g == nil {
			groups[key] = &succession{value, it.begun, 1}
			used[use{key, value}] = true
			continue
		}
		pause := time.Duration(it.begun - g.begun)
		switch {
		case value == g.last:
			within = append(within, pause)
		case used[use{key, value}]:
			back++
		default:
			new++
			between = append(between, pause)
			used[use{key, value}] = true
		}
		g.last, g.begun, g.requests = value, it.begun, g.requests+1
	}
	large := 0
	for _, g := range groups {
		if g.requests >= minPolls {
			large++
		}
	}
	if new < 3*large || new < 3 || back*10 > new {
		return false
	}
	return len(within) < new || median(between) <= 2*median(within)
}
