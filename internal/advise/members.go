package advise

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

const (
	maxMembers = 48
	maxDepth   = 6
)

// member is a digest of one member of a JSON answer. In an array, the members of all
// elements are one, whose pointer has a * in place of the index. An array or object has a
// member of its own, which only says whether it is empty.
type member struct {
	pointer string
	name    uint64 // a digest of the pointer
	sum     uint64 // of the value
	nothing bool   // [], {}, "", null, 0 or false
}

// membersOf returns the members of a document, ordered by their pointers.
func membersOf(seed maphash.Seed, document any) []member {
	found := make(map[string]*member)
	note := func(pointer string, sum uint64, nothing bool) {
		m := found[pointer]
		if m == nil {
			if len(found) >= maxMembers {
				pointer = "" // what is beyond the limit is compared, but cannot be named
			}
			if m = found[pointer]; m == nil {
				m = &member{pointer: pointer, name: maphash.String(seed, pointer), nothing: true}
				found[pointer] = m
			}
		}
		m.sum = mix(m.sum, sum)
		m.nothing = m.nothing && nothing
	}
	var walk func(pointer string, depth int, value any)
	walk = func(pointer string, depth int, value any) {
		nothing := jsonvalue.IsNothing(value)
		switch value := value.(type) {
		case map[string]any:
			if depth < maxDepth {
				note(pointer, 1, nothing)
				for _, name := range sortedNames(value) {
					walk(pointer+"/"+escapeToken(name), depth+1, value[name])
				}
				return
			}
		case []any:
			if depth < maxDepth {
				note(pointer, 1, nothing)
				for _, element := range value {
					walk(pointer+"/*", depth+1, element)
				}
				return
			}
		}
		text, err := json.Marshal(value)
		if err != nil {
			return
		}
		note(pointer, maphash.Bytes(seed, text), nothing)
	}
	walk("", 0, document)
	members := make([]member, 0, len(found))
	for _, m := range found {
		members = append(members, *m)
	}
	slices.SortFunc(members, func(x, y member) int { return strings.Compare(x.pointer, y.pointer) })
	return members
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

func escapeToken(name string) string { return tokenEscaper.Replace(name) }

func mix(sum, next uint64) uint64 {
	sum ^= next + 0x9e3779b97f4a7c15 + sum<<6 + sum>>2
	return sum * 0xff51afd7ed558ccd
}

// selfChanging returns the pointers of members that differ in most pairs of successive
// answers: clocks and counters. A pair without any difference says nothing about them.
func selfChanging(pairs [][2]*answer) []string {
	compared, differing := make(map[string]int), make(map[string]int)
	total := 0
	for _, pair := range pairs {
		if pair[0].members == nil || pair[1].members == nil || pair[0].status != pair[1].status {
			continue
		}
		total++
		for _, m := range pair[0].members {
			if other, ok := pair[1].member(m.pointer); ok {
				compared[m.pointer]++
				if other.sum != m.sum {
					differing[m.pointer]++
				}
			}
		}
	}
	var pointers []string
	for pointer, n := range differing {
		if pointer != "" && n >= 4 && compared[pointer]*2 >= total && n*10 >= compared[pointer]*8 {
			pointers = append(pointers, pointer)
		}
	}
	slices.Sort(pointers)
	return pointers
}
