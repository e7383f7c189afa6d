package advise

import (
	"math"
	"slices"
	"strings"
)

// roomOf returns the field that tells the rooms or users of a poll apart, as far as a
// publisher can know it: the one that most kinds of writes name, or else one whose values
// several clients have in common. What only one client knows may be a secret. It returns -1
// if there is none.
func roomOf(r *route, writing []*route) int {
	fields := r.fieldsOf(KeyRole)
	for _, i := range r.fieldsOf(FixedRole) {
		if r.names[i].in == inPath {
			fields = append(fields, i) // the only room that was seen
		}
	}
	best, most := -1, 0
	for _, i := range fields {
		if in := r.names[i].in; in != inPath && in != inQuery {
			continue
		}
		rooms := valuesOf(r, i)
		n := 0
		for _, other := range writing {
			if sameRoom(r, other, i, rooms) >= 0 {
				n += 2
			}
		}
		if r.names[i].in == inPath || isShared(r, i) {
			n++
		}
		if n > most {
			best, most = i, n
		}
	}
	return best
}

func valuesOf(r *route, field int) map[uint64]bool {
	values := make(map[uint64]bool)
	for i := range r.records {
		if value, ok := r.records[i].field(field); ok {
			values[value] = true
		}
	}
	return values
}

// isShared reports whether two clients had the same value of a field.
func isShared(r *route, field int) bool {
	owners := make(map[uint64]uint64)
	for i := range r.records {
		value, ok := r.records[i].field(field)
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

// sameRoom returns the field of a write that has the values of the rooms that are polled. It
// is -1 if there is none.
func sameRoom(r, other *route, room int, rooms map[uint64]bool) int {
	matching := make([]int, len(other.names))
	first := make([]uint64, len(other.names))
	several := make([]bool, len(other.names))
	for i := range other.records {
		for _, f := range other.records[i].fields {
			if in := other.names[f.name].in; in != inPath && in != inQuery || !rooms[f.value] {
				continue
			}
			if matching[f.name]++; matching[f.name] == 1 {
				first[f.name] = f.value
			}
			several[f.name] = several[f.name] || f.value != first[f.name]
		}
	}
	best := -1
	for i, n := range matching {
		sure := several[i] || other.names[i] == r.names[room] && sharesName(r.key.path, other.key.path)
		if sure && n*10 >= len(other.records)*8 && (best < 0 || n > matching[best]) {
			best = i
		}
	}
	return best
}

// tail returns the probability of at least k hits in n tries, each of probability p.
func tail(n, k int, p float64) float64 {
	if p <= 0 {
		return 0
	}
	all, _ := math.Lgamma(float64(n + 1))
	sum := 0.0
	for i := k; i <= n; i++ {
		hits, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		next := math.Exp(all - hits - rest + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		sum += next
		if next <= sum*1e-9 && float64(i) > float64(n)*p {
			break // what follows is less and less
		}
	}
	return sum
}

// sharesName reports whether two paths have a segment in common that says something.
func sharesName(a, b string) bool {
	names := meaningful(a)
	return slices.ContainsFunc(meaningful(b), func(name string) bool { return slices.Contains(names, name) })
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
