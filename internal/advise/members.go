package advise

import (
	"encoding/json"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

const (
	maxMembers  = 48
	maxDepth    = 6
	maxPointer  = 256
	maxElements = 2000 // of a document that are looked at
)

// member is a digest of one member of a JSON answer. In an array, the members of all elements
// are one, whose pointer has a * in place of the index. The same is true for an object whose
// members are alike, with a key for each. An array or object has a member of its own, which
// only says whether it is empty.
type member struct {
	sum     uint64 // of the value
	pointer uint16 // its place in the table of the route
	nothing bool   // [], {}, "", null, 0 or false
	clock   bool   // the time at which the answer was given
}

// beyond is the pointer of all members for which there is no room. They are compared, but
// cannot be named.
const beyond = 0

// pointerIndex returns the place of a pointer in the table of the route.
func (r *route) pointerIndex(path []byte) int {
	if len(r.pointers) == 0 {
		r.pointers = append(r.pointers, "")
		r.pointerIndexes = make(map[string]int)
	}
	if i, ok := r.pointerIndexes[string(path)]; ok || len(path) == 0 {
		return i
	}
	if len(r.pointers) >= maxNames || len(path) > maxPointer {
		return beyond
	}
	pointer := string(path)
	r.pointerIndexes[pointer] = len(r.pointers)
	r.pointers = append(r.pointers, pointer)
	r.namesBytes += 2*nameBytes + len(pointer)
	r.bytes += 2*nameBytes + len(pointer)
	return len(r.pointers) - 1
}

// reader reads the members of a document.
type reader struct {
	route   *route
	at      time.Time
	members []member
	left    int // elements
	path    []byte
}

// membersOf returns the members of a document, ordered by their pointers.
func (r *route) membersOf(document any, at time.Time) []member {
	reader := reader{route: r, at: at, left: maxElements}
	reader.walk(0, document)
	members := slices.Clone(reader.members)
	slices.SortFunc(members, func(x, y member) int { return int(x.pointer) - int(y.pointer) })
	return members
}

// note adds a value to the member with the present path.
func (r *reader) note(sum uint64, nothing, clock bool) {
	pointer := r.route.pointerIndex(r.path)
	i := r.find(pointer)
	if i < 0 && len(r.members) >= maxMembers {
		pointer = beyond
		i = r.find(pointer)
	}
	if i < 0 {
		i = len(r.members)
		r.members = append(r.members, member{pointer: uint16(pointer), nothing: true, clock: true})
	}
	m := &r.members[i]
	m.sum, m.nothing, m.clock = mix(m.sum, sum), m.nothing && nothing, m.clock && clock
}

func (r *reader) find(pointer int) int {
	return slices.IndexFunc(r.members, func(m member) bool { return int(m.pointer) == pointer })
}

func (r *reader) walk(depth int, value any) {
	r.left--
	nothing := jsonvalue.IsNothing(value)
	length := len(r.path)
	switch value := value.(type) {
	case map[string]any:
		if depth >= maxDepth || r.left <= 0 {
			break
		}
		r.note(1, nothing, false)
		alike := areAlike(string(r.path), value)
		for _, name := range sortedNames(value) {
			r.path = append(r.path[:length], '/')
			if alike {
				r.path = append(r.path, '*')
				r.note(maphash.String(r.route.seed, name), false, false)
			} else {
				r.path = append(r.path, escapeToken(name)...)
			}
			r.walk(depth+1, value[name])
		}
		r.path = r.path[:length]
		return
	case []any:
		if depth >= maxDepth || r.left <= 0 {
			break
		}
		r.note(1, nothing, false)
		for _, element := range value {
			r.path = append(r.path[:length], "/*"...)
			r.walk(depth+1, element)
		}
		r.path = r.path[:length]
		return
	case string:
		r.note(maphash.String(r.route.seed, value), nothing, isNow(value, r.at))
		return
	case json.Number:
		r.note(mix(2, maphash.String(r.route.seed, value.String())), nothing, isNowNumber(value, r.at))
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		return
	}
	r.note(mix(3, maphash.Bytes(r.route.seed, text)), nothing, false)
}

// areAlike reports whether the members of an object are elements with a key for each, such as
// those of rooms or users: objects that have the same members.
func areAlike(pointer string, object map[string]any) bool {
	parent := pointer[strings.LastIndexByte(pointer, '/')+1:]
	if len(object) < 3 && !ofPeople(parent) || len(object) == 0 {
		return false
	}
	var first map[string]any
	for _, value := range object {
		element, ok := value.(map[string]any)
		if !ok || len(element) == 0 || first != nil && len(element) != len(first) {
			return false
		}
		if first == nil {
			first = element
		}
		for name := range element {
			if _, ok := first[name]; !ok {
				return false
			}
		}
	}
	return true
}

func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var tokenEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func escapeToken(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return tokenEscaper.Replace(name)
}

func mix(sum, next uint64) uint64 {
	sum ^= next + 0x9e3779b97f4a7c15 + sum<<6 + sum>>2
	return sum * 0xff51afd7ed558ccd
}

// selfChanging returns the pointers of members that change by themselves: those that differ
// in most pairs of successive answers, such as counters, and those that are the time of the
// answer. A pair without any difference says nothing about them.
func (r *route) selfChanging() []int {
	compared, differing := make([]int, len(r.pointers)), make([]int, len(r.pointers))
	total := 0
	for _, s := range r.steps {
		last, now := s.last.answer, s.now.answer
		if last.members == nil || now.members == nil || last.status != now.status {
			continue
		}
		total++
		i, j := 0, 0
		for i < len(last.members) && j < len(now.members) {
			x, y := &last.members[i], &now.members[j]
			switch {
			case x.pointer < y.pointer:
				i++
			case x.pointer > y.pointer:
				j++
			default:
				compared[x.pointer]++
				if x.sum != y.sum {
					differing[x.pointer]++
				}
				i++
				j++
			}
		}
	}
	clocks := r.clocks()
	var pointers []int
	for i, n := range differing {
		if i != beyond && (n >= 4 && compared[i]*2 >= total && n*10 >= compared[i]*8 || clocks[i] && (r.ticks(n, compared[i]) || clockNames.MatchString(r.pointers[i]))) {
			pointers = append(pointers, i)
		}
	}
	return pointers
}

// clockNames are names that only the present time has. Such a clock may show minutes.
var clockNames = regexp.MustCompile(`(?i)(^|[/_-])(now|clock|(server|current)_?time)$`)

// ticks reports whether a member that looks like a clock goes on with the time: what was changed
// a moment ago is the present time, too, but stays as it is.
func (r *route) ticks(differing, compared int) bool {
	often := min(1, r.rhythm.every.Seconds())
	return float64(differing) >= 0.8*often*float64(compared)
}

// clocks reports which members are the time of the answer in each answer that has them.
func (r *route) clocks() []bool {
	with, clock := make([]int, len(r.pointers)), make([]int, len(r.pointers))
	values := make([]map[uint64]bool, len(r.pointers))
	seen := make(map[*answer]bool)
	for i := range r.records {
		it := r.records[i].answer
		if seen[it] {
			continue
		}
		seen[it] = true
		for _, m := range it.members {
			with[m.pointer]++
			if !m.clock {
				continue
			}
			clock[m.pointer]++
			if values[m.pointer] == nil {
				values[m.pointer] = make(map[uint64]bool)
			}
			values[m.pointer][m.sum] = true
		}
	}
	result := make([]bool, len(r.pointers))
	for i := range result {
		result[i] = clock[i] == with[i] && len(values[i]) >= 3
	}
	return result
}
