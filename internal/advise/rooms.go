package advise

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
)

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
				key := withSegment(r.key, segments, i, "<name>")
				groups[key] = append(groups[key], r)
			}
		}
	}
	maps.DeleteFunc(groups, func(_ routeKey, siblings []*route) bool { return len(siblings) < minSiblings })
	merged := make(map[*route]bool)
	keys := slices.SortedFunc(maps.Keys(groups), routeKey.compare)
	for _, key := range keys {
		siblings := slices.DeleteFunc(groups[key], func(r *route) bool { return merged[r] })
		if len(siblings) < minSiblings || !areRooms(siblings) {
			continue
		}
		before, _, _ := strings.Cut(key.path, "<name>")
		key.path = strings.Replace(key.path, "<name>", "*", 1)
		for _, r := range siblings {
			merged[r] = true
		}
		routes = append(routes, joined(key, strings.Count(before, "/"), siblings))
	}
	routes = slices.DeleteFunc(routes, func(r *route) bool { return merged[r] })
	slices.SortStableFunc(routes, func(x, y *route) int { return x.key.compare(y.key) })
	return routes
}

func withSegment(key routeKey, segments []string, i int, segment string) routeKey {
	before := segments[i]
	segments[i] = segment
	key.path = strings.Join(segments, "/")
	segments[i] = before
	return key
}

// joined returns one route for several. The segment of their paths in which they differ, as
// strings.Split counts it, becomes a field, unless it is 0.
func joined(key routeKey, segment int, routes []*route) *route {
	one := &route{key: key, seed: routes[0].seed, shared: routes[0].shared}
	for _, r := range routes {
		one.seen += r.seen
		one.target = cmp.Or(one.target, r.target)
		names := make([]int, len(r.names))
		for i, name := range r.names {
			names[i] = one.addName(name)
		}
		pointers := make([]int, len(r.pointers))
		for i, pointer := range r.pointers {
			pointers[i] = one.pointerIndex([]byte(pointer))
		}
		answers := make(map[*answer]*answer)
		var name []field
		if segment > 0 {
			place := one.addName(fieldName{inPath, strconv.Itoa(segment - 1)})
			name = []field{{name: uint16(place), value: maphash.String(one.seed, strings.Split(r.key.path, "/")[segment])}}
		}
		for _, it := range r.records {
			fields := make([]field, 0, len(it.fields)+1)
			for _, f := range it.fields {
				f.name = uint16(names[f.name])
				fields = append(fields, f)
			}
			it.fields = append(fields, name...)
			if answers[it.answer] == nil {
				answers[it.answer] = it.answer.withPointers(pointers)
			}
			it.answer = answers[it.answer]
			one.records = append(one.records, it)
		}
	}
	return one
}

// addName is like nameIndex without a limit.
func (r *route) addName(name fieldName) int {
	if i := slices.Index(r.names, name); i >= 0 {
		return i
	}
	r.names = append(r.names, name)
	return len(r.names) - 1
}

// withPointers returns an answer whose members have other places in the table of pointers.
func (it *answer) withPointers(places []int) *answer {
	other := *it
	other.members = make([]member, 0, len(it.members))
	for _, m := range it.members {
		m.pointer = uint16(places[m.pointer])
		other.members = append(other.members, m)
	}
	if it.members == nil {
		other.members = nil
	}
	slices.SortStableFunc(other.members, func(x, y member) int { return int(x.pointer) - int(y.pointer) })
	return &other
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
			own[r.records[i].sender.all] = true
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
