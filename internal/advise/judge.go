package advise

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// judge says what is known of a poll. The others are routes that may write.
func judge(r *route, others []*route) Poll {
	p := Poll{
		Method: r.key.method, Host: r.key.host, Path: r.key.path, Call: reportedCall(r.key.call),
		Clients: r.rhythm.clients, Every: Seconds(r.rhythm.every), Waiting: r.rhythm.waiting, Asks: r.seen,
		Streams: r.streams(), Already: r.isHandled(), Held: r.rhythm.took > heldFor && !r.isHandled(),
		Certainty: Never, route: r,
	}
	p.Sharing.Certainty = Never
	for _, role := range []Role{KeyRole, CursorRole, ClockRole, CounterRole, BusterRole, UnknownRole} {
		for _, i := range r.fieldsOf(role) {
			p.Fields = append(p.Fields, Field{string(r.names[i].in), r.names[i].name, role})
		}
	}
	switch {
	case p.Already:
		p.Reason = "parker handles it already."
		return p
	case p.Streams:
		p.Reason = "The backend already sends an event stream. parker passes it on, without buffers and time limits."
		return p
	}
	u := r.ruleOf()
	for _, s := range r.steps {
		if u.held(s) {
			p.Same++
		}
	}
	changes := r.changes(u)
	p.Changes, p.Certainty = len(changes), certaintyOf(len(changes))
	p.cookies = hasCookies(r)
	p.decide(r, u)
	if !p.Hold {
		if u.usual != nil {
			p.tellUsual(r, u.usual, others)
		}
		return p
	}
	p.HeldThoughDifferent = u.different
	explain(&p, r, changes, r.refusals(), others)
	if r.isLogged() {
		p.Sharing = sharingFacts(r) // answers of one length may differ
		p.warnOfLength(r)
	} else {
		shareOf(&p, r, u, changes)
	}
	p.nameCookies(r)
	p.idle = p.idle || !p.cookies && (p.needsClient() || p.Waiting == ByTimer)
	p.Gain = gainOf(&p, r, changes)
	p.warn()
	return p
}

// decide says whether to hold the poll, by which rule, and why.
func (p *Poll) decide(r *route, u *rule) {
	p.Hold, p.NothingNew, p.Reason = u.exists(), u.lines, u.reason
	if p.Held {
		p.Hold = false
		p.Warnings = append(p.Warnings, fmt.Sprintf("The backend already holds this request, usually for %s. parker would hold it without a thread of the backend, if the backend can be told not to wait.", rounded(r.rhythm.took)))
	}
	if p.Hold && r.mayWrite() {
		p.Hold = false
		p.Reason = "It is a " + r.key.method + " whose answer never changed, and could be a write. parker sends what it holds again, so use it only if you know that it reads."
	}
	if u.unchanged && u.different > 0 {
		p.Hold = false
		p.Reason = fmt.Sprintf("Its answers differ each time, in %s. If that means nothing, hold it with: nothing_new { unchanged except %s }", strings.Join(u.except, ", "), strings.Join(u.except, " "))
	}
	if names := r.changingInBody(); p.Hold && r.key.isWrite() && len(names) > 0 {
		p.Hold = false
		p.Reason = fmt.Sprintf("It is a %s whose body differs each time (%s), and could be a write. parker sends what it holds again, so use it only if you know that it reads.", r.key.method, strings.Join(names, ", "))
	}
	if p.Hold && strings.Contains(p.Path, "*") && strings.Trim(p.Path, "/*") == "" {
		p.Hold = false
		p.Reason = "It would be held, but its path has no name to recognize it by. Add parker for it by hand."
	}
}

// changingInBody returns the members and parameters of the body that change, other than
// counters, clocks and cursors.
func (r *route) changingInBody() (names []string) {
	for _, i := range r.fieldsOf(BusterRole, UnknownRole) {
		if name := r.names[i]; name.in == inJSON || name.in == inForm {
			names = append(names, strings.TrimPrefix(name.name, "/"))
		}
	}
	return names
}

// nameCookies names the cookies that stay, where others change by themselves: remember and
// timer recognize a browser by all of them otherwise.
func (p *Poll) nameCookies(r *route) {
	all := make(map[uint64]bool)
	with := make(map[uint64]int)
	for i := range r.records {
		for _, c := range r.records[i].sender.credentials {
			all[c.name] = true
			with[c.name]++
		}
	}
	if len(all) == len(r.steady) || !p.needsClient() && p.Waiting != ByTimer {
		return
	}
	var names []string
	for _, name := range r.steady {
		if text := r.shared.names[name]; text != "" && with[name]*20 >= len(r.records)*19 {
			names = append(names, credentialPlaceholder(text))
		}
	}
	slices.Sort(names)
	switch {
	case !p.needsClient():
		p.Warnings = append(p.Warnings, "Some of its cookies change by themselves, so timer may not recognize a browser.")
	case len(names) == 0:
		p.idle = true
		p.Warnings = append(p.Warnings, "Its cookies change by themselves, so remember holds nothing. Give each browser one that stays.")
	default:
		p.NothingNew = append(slices.Clone(p.NothingNew[:len(p.NothingNew)-1]), "remember "+strings.Join(names, " "))
		p.Warnings = append(p.Warnings, "Some of its cookies change by themselves, so remember names those that stay.")
	}
}

// warn adds what the operator must know before using the advice.
func (p *Poll) warn() {
	if n := p.HeldThoughDifferent; n > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("DANGER: %s would be held although they differ from the one before. Look at them before you use this.", count(n, "answer")))
	}
	if (routeKey{method: p.Method}).isWrite() {
		p.Warnings = append(p.Warnings, "It is a "+p.Method+", which parker sends again after each wake-up. Use this only if you know that it reads.")
	}
	if p.Changes > 0 && p.Certainty == Seldom {
		p.Warnings = append(p.Warnings, "News came so seldom that the rule for nothing new, and who publishes, may be wrong. Watch the traffic for longer.")
	}
	if !p.cookies && (p.needsClient() || p.Waiting == ByTimer) {
		p.Warnings = append(p.Warnings, "Its requests have no cookie, so browsers cannot be told apart, and remember and timer hold none of them. Give each browser one: see \"Pages that get the whole state\" in the recipes.")
	}
	if p.needsClient() && p.Every.Duration() > time.Minute {
		p.Warnings = append(p.Warnings, "It polls less than once a minute, which is too seldom for remember.")
	}
	if p.Waiting == WaitingUnknown {
		p.Warnings = append(p.Warnings, "Nothing shows whether the page waits for its answer. If it polls by setInterval, add: timer")
	}
	for _, f := range p.Fields {
		if f.Role == ClockRole && f.In == string(inQuery) {
			p.Warnings = append(p.Warnings, f.Name+" is the time of the request. If the application does not read it, add: ignore_query "+f.Name)
		}
	}
}

// needsClient reports whether parker must know what it gave to the client.
func (p *Poll) needsClient() bool {
	n := len(p.NothingNew)
	return n > 0 && strings.HasPrefix(p.NothingNew[n-1], "remember")
}

func hasCookies(r *route) bool {
	cookies, known := 0, 0
	for i := range r.records {
		if r.records[i].facts.header {
			known++
		}
		if r.records[i].facts.cookie {
			cookies++
		}
	}
	return known == 0 || cookies*2 > known
}

func reportedCall(c call) *Call {
	if c.value == "" {
		return nil
	}
	return &Call{In: string(c.where.in), Name: c.where.name, Value: c.value, Batch: c.batch}
}
