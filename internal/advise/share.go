package advise

import (
	"cmp"
	"slices"
	"sort"
)

// How much must have been seen before sharing is advised: where it is wrong, people see what
// is meant for others.
const (
	minShared     = 3 // times that a client got the same news as another one
	minSharedBy   = 5 // times that one with the same cookie did
	minGroups     = 3 // values of the cookie that two clients had at least
	minOthers     = 3 // times that one with another cookie did not
	minOfOneValue = 5 // clients, if all have the same value of a cookie
	maxDifferent  = 200
	maxCompared   = 32 // credentials; with more of them nothing is shared

	// Where cookies tell clients apart, an answer could be for one person only.
	minSharedByAll = 10 // times that a client got the same as one with other cookies
	minNewsByAll   = 5  // that several clients got
	minClients     = 3
)

// sharers finds out which clients get the same news. Answers with nothing new say little
// about it: the inboxes of all users are empty in the same way.
//
// News are looked at one by one. Within an interval and a half of the first client that got
// it, the other ones that ask for the same must get it, too. One that asked after the first
// had its answer, and did not, is a difference, unless news followed so closely that it can
// have got the next.
type sharers struct {
	route   *route
	rule    *rule
	near    int64
	asks    map[uint64][]*record // by what they ask for
	joined  map[uint64]int64     // when a client asked for the first time
	changes map[uint64][]int64   // when a client got news
	by      []sharedBy           // for each credential that tells clients apart

	news                      int // that several clients got
	same, different, doubtful int
}

// sharedBy counts for one credential what clients of the same, and of different values got.
type sharedBy struct {
	name                        uint64
	same, different, doubtful   int
	othersSame, othersDifferent int
	groups                      map[uint64]bool
	values                      map[uint64]bool
	owners                      map[uint64]bool // clients
	requests, without           int
}

func shareOf(p *Poll, r *route, u *rule, changes []step) {
	p.Sharing = sharingFacts(r)
	if len(r.steady) > maxCompared {
		p.Sharing.Certainty = Never
		return
	}
	s := newSharers(r, u, changes)
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(x, y step) int { return cmp.Compare(x.now.begun, y.now.begun) })
	type news struct{ asked, sum uint64 }
	seen := make(map[news]int64)
	fields := r.urlFields()
	for _, change := range changes {
		key := news{keyOf(change.now, fields), u.sum(change.now.answer)}
		if at, ok := seen[key]; ok && change.now.begun-at <= 2*s.near {
			continue
		}
		seen[key] = change.now.begun
		s.look(change.now, s.asks[key.asked], key.sum)
		if s.different > maxDifferent {
			break
		}
	}
	p.Sharing.Same, p.Sharing.Different, p.Sharing.Doubtful = s.same, s.different, s.doubtful
	p.Sharing.Certainty = certaintyOf(s.same)
	p.Public = s.isPublic(&p.Sharing)
	if !p.Public && !p.Sharing.SetCookie && !p.Sharing.Unknown {
		p.ShareBy, p.shared = s.credentials()
	}
}

func newSharers(r *route, u *rule, changes []step) *sharers {
	s := &sharers{
		route: r, rule: u, near: int64(r.rhythm.every) * 3 / 2, asks: make(map[uint64][]*record),
		joined: make(map[uint64]int64), changes: make(map[uint64][]int64),
	}
	for _, name := range r.steady {
		s.by = append(s.by, sharedBy{name: name, groups: make(map[uint64]bool), values: make(map[uint64]bool), owners: make(map[uint64]bool)})
	}
	fields := r.urlFields()
	for i := range r.records {
		it := &r.records[i]
		key := keyOf(it, fields)
		s.asks[key] = append(s.asks[key], it)
		if _, known := s.joined[it.client]; !known {
			s.joined[it.client] = it.begun
		}
		for j := range s.by {
			by := &s.by[j]
			value := it.sender.credential(by.name)
			by.values[value], by.owners[it.client] = true, true
			by.requests++
			if value == 0 {
				by.without++
			}
		}
	}
	for _, change := range changes {
		s.changes[change.now.client] = append(s.changes[change.now.client], change.now.begun)
	}
	for _, times := range s.changes {
		slices.Sort(times)
	}
	return s
}

// look counts who else got the news that a client has got first.
func (s *sharers) look(first *record, asks []*record, sum uint64) {
	got, without := make(map[uint64]*record), make(map[uint64]*record)
	begin := sort.Search(len(asks), func(i int) bool { return asks[i].begun >= first.begun-s.near })
	for _, it := range asks[begin:] {
		if it.begun > first.begun+2*s.near {
			break
		}
		switch {
		case s.rule.sum(it.answer) == sum:
			if got[it.client] == nil {
				got[it.client] = it
			}
		case it.begun >= first.end() && it.begun <= first.begun+s.near && s.joined[it.client] < first.begun:
			without[it.client] = it
		}
	}
	s.same += len(got) - 1
	if len(got) > 1 {
		s.news++
	}
	have := make([]map[uint64]int, len(s.by))
	for i := range s.by {
		have[i] = s.by[i].count(got)
	}
	for client, it := range without {
		if got[client] != nil {
			continue
		}
		doubtful := s.hasNextNews(first, it)
		if doubtful {
			s.doubtful++
		} else {
			s.different++
		}
		for i := range s.by {
			s.by[i].countWithout(have[i][it.sender.credential(s.by[i].name)] > 0, doubtful)
		}
	}
}

// hasNextNews reports whether an answer can be the news that followed.
func (s *sharers) hasNextNews(first, other *record) bool {
	if s.rule.is != nil && s.rule.is(other.answer) || !other.answer.succeeded() {
		return false
	}
	times := s.changes[first.client]
	i, _ := slices.BinarySearch(times, first.begun+1)
	return i < len(times) && times[i] <= other.begun+s.near
}

// count counts, for each value of the credential, the clients that got the same.
func (b *sharedBy) count(got map[uint64]*record) map[uint64]int {
	have := make(map[uint64]int)
	for _, it := range got {
		have[it.sender.credential(b.name)]++
	}
	for value, n := range have {
		b.same += n - 1
		if n > 1 && value != 0 {
			b.groups[value] = true
		}
	}
	b.othersSame += len(have) - 1
	return have
}

func (b *sharedBy) countWithout(ofGroup, doubtful bool) {
	switch {
	case !ofGroup:
		b.othersDifferent++
	case doubtful:
		b.doubtful++
	default:
		b.different++
	}
}

// isPublic reports whether all clients get the same, whatever their cookies are.
func (s *sharers) isPublic(facts *Sharing) bool {
	if s.same < minShared || s.different > 0 || s.doubtful*4 > s.same || facts.Varies || facts.Private || facts.SetCookie || facts.Unknown {
		return false
	}
	if !s.allSteady() && (s.same < minSharedByAll || s.news < minNewsByAll) {
		return false
	}
	for _, by := range s.by {
		// Devices of one person have the same cookie, and so do all visitors of some sites.
		if len(by.values) == 1 && len(by.owners) < minOfOneValue {
			return false
		}
		if len(by.values) > 1 && (by.othersSame < minSharedByAll || len(by.values) < minClients || s.news < minNewsByAll) {
			return false
		}
	}
	return true
}

// allSteady reports whether the clients are told apart by all of their credentials. Where a
// credential of the field Authorization changes by itself, nothing is known of who they are.
func (s *sharers) allSteady() bool {
	for i := range s.route.records {
		for _, c := range s.route.records[i].sender.credentials {
			if !slices.Contains(s.route.steady, c.name) {
				return false
			}
		}
	}
	return true
}

// credentials returns the credentials by which answers differ, as placeholders and names. Sharing by
// all of them is stricter than by one: a cookie that only by chance divides the clients in the
// same way does no harm.
func (s *sharers) credentials() (placeholders []string, names []uint64) {
	for _, by := range s.by {
		name := s.route.shared.names[by.name]
		enough := by.same >= minSharedBy && len(by.groups) >= minGroups && by.othersDifferent >= minOthers
		if name == "" || !enough || by.different > 0 || by.doubtful*4 > by.same || by.without*20 > by.requests {
			continue
		}
		placeholders = append(placeholders, credentialPlaceholder(name))
		names = append(names, by.name)
	}
	slices.Sort(placeholders)
	return placeholders, names
}

func credentialPlaceholder(name string) string {
	if name == authorization {
		return "{header.Authorization}"
	}
	return placeholderOf("cookie", name)
}

// sharingFacts returns what the header of the answers says about sharing.
func sharingFacts(r *route) (s Sharing) {
	set := make(map[uint64]uint64)
	unknown := 0
	for i := range r.records {
		it := &r.records[i]
		s.NoStore = s.NoStore || it.facts.noStore
		s.Private = s.Private || it.facts.private
		s.Varies = s.Varies || it.facts.varies
		if !it.facts.header {
			unknown++
		}
		for _, c := range it.renewed {
			if value, known := set[c.name]; known && value != c.value {
				s.SetCookie = true
			}
			set[c.name] = c.value
		}
	}
	s.Unknown = unknown*20 > len(r.records)
	return s
}

// urlFields returns the fields that requests for the same have in common.
func (r *route) urlFields() []int { return r.fieldsOf(KeyRole, CursorRole, FixedRole, UnknownRole) }
