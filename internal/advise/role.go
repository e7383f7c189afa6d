package advise

import (
	"strconv"
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
	asks, steps   int             // requests with the field, and those after another of the same client
	changed       int             // steps to another value
	back          int             // steps to a value that the client had before the last one
	plusOne, grew int             // steps to the next number, and to a greater one
	clock         int             // values that are the time of the request
	afterNews     int             // changes after an answer that differed from the one before
	values        map[string]bool // distinct ones, up to maxDistinct
	perClient     map[uint64]*clientUse
}

type clientUse struct {
	last   string
	before map[string]bool
	answer *answer
	news   bool
}

const maxDistinct = 4096

// rolesOf returns the roles of all fields of a route, whose records are in order of time.
func rolesOf(records []record) map[fieldName]Role {
	uses := make(map[fieldName]*fieldUse)
	for i := range records {
		it := &records[i]
		for _, f := range it.fields {
			use := uses[f.name]
			if use == nil {
				if len(uses) >= 4*maxFields {
					continue
				}
				use = &fieldUse{values: make(map[string]bool), perClient: make(map[uint64]*clientUse)}
				uses[f.name] = use
			}
			use.note(it, f.value)
		}
	}
	roles := make(map[fieldName]Role, len(uses))
	for name, use := range uses {
		roles[name] = use.role(name)
	}
	return roles
}

func (u *fieldUse) note(it *record, value string) {
	u.asks++
	if len(u.values) < maxDistinct {
		u.values[value] = true
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err == nil && isTime(number, it.begun) {
		u.clock++
	}
	client := u.perClient[it.client]
	if client == nil {
		u.perClient[it.client] = &clientUse{last: value, before: map[string]bool{value: true}, answer: it.answer}
		return
	}
	u.steps++
	if value != client.last {
		u.changed++
		if client.before[value] {
			u.back++
		}
		if client.news {
			u.afterNews++
		}
		if last, err2 := strconv.ParseInt(client.last, 10, 64); err == nil && err2 == nil && number > last {
			u.grew++
			if number == last+1 {
				u.plusOne++
			}
		}
		if len(client.before) < maxDistinct {
			client.before[value] = true
		}
		client.last = value
	}
	client.news = client.answer != it.answer
	client.answer = it.answer
}

// isTime reports whether a number is about the time of a request, in seconds, milliseconds
// or microseconds since 1970.
func isTime(number, begun int64) bool {
	const day = 24 * 3600
	seconds := begun / 1e9
	for _, unit := range []int64{1, 1e3, 1e6} {
		if d := number/unit - seconds; d > -day && d < day {
			return true
		}
	}
	return false
}

func (u *fieldUse) role(name fieldName) Role {
	most := func(n int) bool { return n*5 >= u.steps*4 }
	switch {
	case len(u.values) == 1:
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
	case name.in == inQuery || name.in == inForm && !most(u.plusOne):
		return BusterRole
	case u.clock*5 >= u.asks*4:
		return ClockRole
	case most(u.grew):
		return CounterRole
	}
	return BusterRole
}
