package advise

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// rule says which answers of a poll have nothing new. A rule without is and unchanged holds
// none.
type rule struct {
	lines     []string // of the block nothing_new; none stand for parker's default
	is        func(it *answer) bool
	unchanged bool
	remember  bool
	except    []string
	excepted  []bool             // members that change by themselves, by their pointers
	sums      map[*answer]uint64 // without these members
	usual     *rule              // if bodies are not known: what meets the usual answers, to find changes
	different int                // answers that would be held although they differ from the one before
	reason    string             // why it is this rule, or why there is none
}

// exists reports whether the rule holds anything.
func (u *rule) exists() bool { return u.is != nil || u.unchanged }

// held reports whether parker would hold the answer of a step.
func (u *rule) held(s step) bool {
	if u.is != nil && u.is(s.now.answer) {
		return true
	}
	return u.unchanged && (s.now.answer.status == http.StatusNotModified ||
		s.now.answer.succeeded() && u.sum(s.last.answer) == u.sum(s.now.answer))
}

// sum returns a digest of an answer without the members that change by themselves.
func (u *rule) sum(it *answer) uint64 {
	if len(u.except) == 0 || it.members == nil {
		return it.sum
	}
	sum, known := u.sums[it]
	if !known {
		sum = u.sumWithout(it)
		u.sums[it] = sum
	}
	return sum
}

// sumWithout is sum for an answer that is not kept.
func (u *rule) sumWithout(it *answer) uint64 {
	if len(u.except) == 0 || it.members == nil {
		return it.sum
	}
	sum := uint64(it.status)
	for _, m := range it.members {
		if int(m.pointer) >= len(u.excepted) || !u.excepted[m.pointer] {
			sum = mix(sum, m.sum^uint64(m.pointer)<<48)
		}
	}
	return sum
}

// ruleOf returns the narrowest rule that holds the answers with nothing new of a poll, and
// none with news.
func (r *route) ruleOf() *rule {
	if r.rule == nil {
		r.rule = r.findRule()
	}
	return r.rule
}

func (r *route) findRule() *rule {
	found := &rule{excepted: make([]bool, len(r.pointers)), sums: make(map[*answer]uint64)}
	found.exceptChanging(r)
	answers := classify(r, found)
	if answers.same*10 < answers.steps*3 {
		found.reason = fmt.Sprintf("%d of %d answers differed from the one before: there is little to hold.", answers.steps-answers.same, answers.steps)
		return found
	}
	if refused := answers.refused(); refused != "" {
		found.reason = refused
		return found
	}
	if answers.comeBack && found.fromIdle(r, answers) {
		found.countDifferent(r)
		return found
	}
	if answers.statusUntil(found) {
		found.countDifferent(r)
		return found
	}
	if !answers.known {
		found.unread(r, answers)
		return found
	}
	found.compare(r)
	found.countDoubtful(r)
	return found
}

// exceptChanging leaves out of the comparison what changes by itself, unless nothing else would
// be compared: then each answer is news, such as the position of something that moves.
func (u *rule) exceptChanging(r *route) {
	excepted := make([]bool, len(r.pointers))
	var except []string
	for _, pointer := range r.selfChanging() {
		if isPrintable(r.pointers[pointer]) {
			except = append(except, r.pointers[pointer])
			excepted[pointer] = true
		}
	}
	for i := range r.records {
		for _, m := range r.records[i].answer.members {
			if m.pointer != beyond && !excepted[m.pointer] {
				u.except, u.excepted = except, excepted
				return
			}
		}
	}
}

// timeNames are names of members that change with the time of the answer.
var timeNames = regexp.MustCompile(`(^|[/_-])(now|time|date|clock|timestamp|uptime|elapsed|seen|nonce|generated)$|[a-z](Now|Time|Date|Clock|Timestamp|Uptime|Elapsed|Seen|Nonce)$`)

// countDoubtful counts answers that would be held although something differs that is neither
// a time nor what the request has given.
func (u *rule) countDoubtful(r *route) {
	clocks := r.clocks()
	given := make(map[string]bool)
	for _, i := range r.fieldsOf(CounterRole) {
		given[r.names[i].name] = true
	}
	for _, s := range r.steps {
		if !u.held(s) || s.now.answer.status == http.StatusNotModified {
			continue
		}
		for _, m := range s.now.answer.members {
			before, ok := s.last.answer.member(int(m.pointer))
			if u.excepted[m.pointer] && !clocks[m.pointer] && !given[r.pointers[m.pointer]] && !timeNames.MatchString(r.pointers[m.pointer]) && (!ok || before.sum != m.sum) {
				u.different++
				break
			}
		}
	}
}

// compare makes it a rule that compares the answer with what the client has.
func (u *rule) compare(r *route) {
	u.unchanged = true
	conditional := 0
	for i := range r.records {
		if r.records[i].facts.conditional {
			conditional++
		}
	}
	u.remember = conditional*10 < len(r.records)*8
	line := "unchanged"
	except := u.except
	for _, i := range r.fieldsOf(CounterRole) {
		if name := r.names[i]; name.in == inJSON && u.remember && !slices.Contains(except, name.name) {
			except = append(except, name.name)
		}
	}
	slices.Sort(except)
	u.except = except
	if len(except) > 0 {
		line += " except " + strings.Join(except, " ")
	}
	u.lines = []string{line}
	u.reason = "Each answer is the whole state, the same as before until there is a change."
	if len(except) > 0 {
		u.reason += " By itself changes only " + strings.Join(except, ", ") + "."
	}
	if u.remember {
		u.lines = append(u.lines, "remember")
		u.reason += " The clients do not say what they have."
	}
}

// countDifferent counts answers that would be held although they differ from the one before,
// which would have been held as well.
func (u *rule) countDifferent(r *route) {
	for _, s := range r.steps {
		last, now := s.last.answer, s.now.answer
		if u.is(last) && u.is(now) && u.sum(last) != u.sum(now) {
			u.different++
		}
	}
}

// isPrintable reports whether a JSON pointer consists of names, none of which could be that
// of a person.
func isPrintable(pointer string) bool {
	tokens := strings.Split(pointer, "/")
	for i, token := range tokens[1:] {
		if token != "*" && (!isName(token) || i > 0 && ofPeople(tokens[i]) && !isCommon(token)) {
			return false
		}
	}
	return pointer != "" && tokens[len(tokens)-1] != "*"
}

// answers says which of the answers of a poll mean nothing new.
type answers struct {
	steps, same int
	known       bool // bodies are known
	comeBack    bool // after news, the client gets an answer with nothing new again
	idle, news  []*answer
	returns     int         // to an answer with nothing new, after another news than before
	clients     int         // that got such answers
	total       map[int]int // by status
}

// followed counts what comes after an answer.
type followed struct {
	sample      *answer
	itself, not int
	seen        int
}

func classify(r *route, rule *rule) answers {
	it := answers{total: make(map[int]int)}
	uses := make(map[uint64]*followed)
	use := func(a *answer) *followed {
		sum := rule.sum(a)
		if uses[sum] == nil {
			uses[sum] = &followed{sample: a}
		}
		return uses[sum]
	}
	for i := range r.records {
		a := r.records[i].answer
		use(a).seen++
		it.total[a.status]++
		it.known = it.known || a.known && !hasNoBody(a.status)
	}
	for _, s := range r.steps {
		it.steps++
		last := use(s.last.answer)
		if use(s.now.answer) == last {
			last.itself++
			it.same++
		} else {
			last.not++
		}
	}
	repeated, once, most := 0, 0, 0
	for _, u := range uses {
		most = max(most, u.seen)
	}
	for _, u := range uses {
		if u.itself >= u.not && u.seen >= 3 && u.itself > 0 {
			it.idle = append(it.idle, u.sample)
		} else {
			it.news = append(it.news, u.sample)
		}
		if u.seen < most {
			repeated += u.itself
			once += u.not
		}
	}
	order := func(x, y *answer) int {
		return cmp.Or(uses[rule.sum(y)].seen-uses[rule.sum(x)].seen, cmp.Compare(x.sum, y.sum))
	}
	slices.SortFunc(it.idle, order)
	slices.SortFunc(it.news, order)
	it.countWitnesses(r, rule)
	if len(it.idle) > 0 {
		allDefault := !slices.ContainsFunc(it.idle, func(a *answer) bool { return !a.isDefault() })
		it.comeBack = once > 0 && repeated*3 < once || allDefault && repeated == 0 || len(r.fieldsOf(CursorRole)) > 0 && once > 0
	}
	return it
}

// countWitnesses counts the clients that got answers with nothing new, and how often such an
// answer came back after news.
func (it *answers) countWitnesses(r *route, rule *rule) {
	idle := make(map[uint64]bool)
	for _, a := range it.idle {
		idle[rule.sum(a)] = true
	}
	clients, after := make(map[uint64]bool), make(map[uint64]bool)
	for i := range r.records {
		if idle[rule.sum(r.records[i].answer)] {
			clients[r.records[i].client] = true
		}
	}
	for _, s := range r.steps {
		if last := rule.sum(s.last.answer); !idle[last] && idle[rule.sum(s.now.answer)] {
			after[last] = true
		}
	}
	it.clients, it.returns = len(clients), len(after)
}

// refused returns why nothing should be held if most answers are refusals or failures.
func (it *answers) refused() string {
	all, bad := 0, 0
	for status, n := range it.total {
		all += n
		if status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || status >= 500 {
			bad += n
		}
	}
	if bad*2 > all {
		return fmt.Sprintf("%d of %d answers were refusals or failures.", bad, all)
	}
	return ""
}

// statusUntil finds a status that comes until there is something, such as 404.
func (it *answers) statusUntil(u *rule) bool {
	all, most := 0, 0
	for status, n := range it.total {
		all += n
		if n > it.total[most] {
			most = status
		}
	}
	if most < 400 || most >= 500 || it.total[most] == all {
		return false
	}
	u.lines = []string{fmt.Sprintf("status %d", most)}
	u.is = func(a *answer) bool { return a.status == most }
	u.reason = fmt.Sprintf("%d of %d answers had the status %d, the others had news.", it.total[most], all, most)
	return true
}
