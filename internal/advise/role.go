package advise

import (
	"regexp"
	"strings"
)

// Role says what a parameter, a member of a body or a segment of a path is for.
type Role string

const (
	FixedRole   Role = "fixed"        // it has one value
	KeyRole     Role = "room or user" // it keeps its value within a page, and tells rooms or users apart
	CursorRole  Role = "cursor"       // it says what the client has, and grows with news
	ClockRole   Role = "clock"        // the time of the request, of which the answer may depend
	CounterRole Role = "counter"      // the number of the request
	BusterRole  Role = "cache buster" // each time another value, so that no cache answers
	UnknownRole Role = "unknown"
)

// changesEachTime reports whether the value is another one in each request.
func (r Role) changesEachTime() bool {
	return r == ClockRole || r == CounterRole || r == BusterRole
}

// cursorNames are names of what a client has. A clock of such a name is no cache buster:
// the answer depends on it.
var cursorNames = []string{"since", "after", "last", "from", "start", "until", "before", "cursor", "offset", "modified", "seen", "etag", "rev", "seq"}

// fieldUse counts how the values of a field follow one another.
type fieldUse struct {
	asks, steps   int             // requests with the field, and those after another of the same tab
	changed       int             // steps to another value
	back          int             // steps to a value that the tab had before the last one
	plusOne, grew int             // steps to the next number, and to a greater one
	clock         int             // values that are the time of the request
	afterNews     int             // changes after an answer that differed from the one before
	distinct      int             // values, up to 2
	first         uint64          // value
	starts        map[uint64]bool // the first values of pages, with which a page begins again that is loaded again
	perTab        map[uint64]*tabUse
	before        map[tabValue]bool
}

type tabValue struct{ tab, value uint64 }

type tabUse struct {
	last   field
	answer *answer
	news   bool
	loads  uint64 // of the page
}

// value returns what is remembered of a value: a page that is loaded again has none before.
func (t *tabUse) value(it *record, f field) tabValue { return tabValue{mix(it.tab, t.loads), f.value} }

// rolesOfFields returns the roles of all fields of a route, whose records are in order of
// time. It looks at one field after the other, which takes the least memory.
func (r *route) rolesOfFields() []Role {
	roles := make([]Role, len(r.names))
	for i := range roles {
		var use *fieldUse
		for j := range r.records {
			f, ok := r.records[j].whole(i)
			if !ok {
				continue
			}
			if use == nil {
				use = &fieldUse{first: f.value, distinct: 1, starts: make(map[uint64]bool), perTab: make(map[uint64]*tabUse), before: make(map[tabValue]bool)}
			}
			use.note(&r.records[j], f)
		}
		roles[i] = UnknownRole
		if use != nil {
			roles[i] = use.role(r.names[i])
		}
	}
	return roles
}

func (u *fieldUse) note(it *record, f field) {
	u.asks++
	if f.value != u.first {
		u.distinct = 2
	}
	if f.number && isTime(int64(f.value), it.begun) {
		u.clock++
	}
	tab := u.perTab[it.tab]
	if tab == nil {
		u.starts[f.value] = true
		tab = &tabUse{last: f, answer: it.answer}
		u.perTab[it.tab] = tab
		u.before[tab.value(it, f)] = true
		return
	}
	u.steps++
	switch {
	case f.value == tab.last.value:
	case u.starts[f.value]:
		tab.last = f
		tab.loads++
	default:
		u.changed++
		if u.before[tab.value(it, f)] {
			u.back++
		}
		if tab.news {
			u.afterNews++
		}
		if f.number && tab.last.number && int64(f.value) > int64(tab.last.value) {
			u.grew++
			if f.value == tab.last.value+1 {
				u.plusOne++
			}
		}
		u.before[tab.value(it, f)] = true
		tab.last = f
	}
	tab.news = tab.answer != it.answer
	tab.answer = it.answer
}

func (u *fieldUse) role(name fieldName) Role {
	most := func(n int) bool { return n*5 >= u.steps*4 }
	switch {
	case u.distinct == 1:
		return FixedRole
	case u.steps >= 5 && most(u.changed) && u.back*10 <= u.changed:
		return u.roleOfChanging(name, most)
	case u.changed > 0 && u.back*10 <= u.changed && (u.grew*10 >= u.changed*9 || u.afterNews*10 >= u.changed*9):
		return CursorRole
	case u.steps > 0 && u.changed*2 <= u.steps || u.back > 0:
		return KeyRole
	}
	return UnknownRole
}

// busterNames are names that only cache busters have.
var busterNames = regexp.MustCompile(`^(_|_?dc|_?cb|_?r|_?rnd|_?rand(om)?|_?no_?cache|_?cache_?bust(er)?)$`)

// roleOfChanging returns the role of a field with another value in almost each request.
func (u *fieldUse) roleOfChanging(name fieldName, most func(n int) bool) Role {
	lower := strings.ToLower(strings.TrimPrefix(name.name, "/"))
	for _, word := range cursorNames {
		if strings.Contains(lower, word) {
			if u.clock*5 >= u.asks*4 {
				return ClockRole
			}
			return CursorRole
		}
	}
	switch {
	case name.in == inQuery && u.clock*5 >= u.asks*4 && !busterNames.MatchString(lower):
		return ClockRole // it may be what the last answer has said
	case name.in == inQuery || name.in == inForm && !most(u.plusOne):
		return BusterRole
	case u.clock*5 >= u.asks*4:
		return ClockRole
	case most(u.grew):
		return CounterRole
	}
	return BusterRole
}
