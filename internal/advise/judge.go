package advise

import (
	"fmt"
	"time"
)

// judge says what is known of a poll. The others are routes that are no polls.
func judge(r *route, others []*route) Poll {
	p := Poll{
		Method: r.key.method, Host: r.key.host, Path: r.key.path, Call: reportedCall(r.key.call),
		Clients: r.rhythm.clients, Every: r.rhythm.every, Waiting: r.rhythm.waiting, Asks: r.seen,
		Streams: r.streams(), Held: r.rhythm.took > heldFor,
	}
	for _, role := range []Role{KeyRole, CursorRole, ClockRole, CounterRole, BusterRole, UnknownRole} {
		for _, name := range r.fieldsOf(role) {
			p.Fields = append(p.Fields, Field{string(name.in), name.name, role})
		}
	}
	if p.Streams {
		p.Reason = "The backend already sends an event stream. parker passes it on, without buffers and time limits."
		return p
	}
	u := ruleOf(r)
	p.Hold, p.NothingNew, p.Reason = u.exists(), u.lines, u.reason
	p.cookies = hasCookies(r)
	if p.Held {
		p.Warnings = append(p.Warnings, fmt.Sprintf("The backend already holds this request, usually for %s. parker would hold it without a thread of the backend, if the backend can be told not to wait.", rounded(r.rhythm.took)))
		p.Hold = false
	}
	if u.danger != "" {
		p.Warnings = append(p.Warnings, u.danger)
	}
	for _, s := range r.steps() {
		if u.held(s) {
			p.Same++
		}
	}
	changes := r.changes(u)
	p.Changes = len(changes)
	if p.Hold && r.mayWrite() {
		p.Hold = false
		p.Reason = "It is a " + r.key.method + " whose answer never changed, and could be a write. parker sends what it holds again, so use it only if you know that it reads."
	}
	if !p.Hold {
		if !u.exists() && u.reason != "" && !knowsBodies(r) {
			p.Reason += fmt.Sprintf("curl -si '<address of the application>%s'", r.key.path)
		}
		return p
	}
	explain(&p, r, changes, others)
	shareOf(&p, r, u, changes)
	p.Gain = gainOf(&p, r, changes)
	p.warn()
	return p
}

// warn adds what the operator must know before using the advice.
func (p *Poll) warn() {
	if !p.cookies && (p.needsClient() || p.Waiting == ByTimer) {
		p.Warnings = append(p.Warnings, "Its requests have no cookie, so browsers cannot be told apart, and remember and timer hold none of them. Give each browser one: see \"Pages that get the whole state\" in the recipes.")
	}
	if p.needsClient() && p.Every > time.Minute {
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
	return n > 0 && p.NothingNew[n-1] == "remember"
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

func knowsBodies(r *route) bool {
	for i := range r.records {
		if r.records[i].answer.known && !hasNoBody(r.records[i].answer.status) {
			return true
		}
	}
	return false
}

func reportedCall(c call) *Call {
	if c.value == "" {
		return nil
	}
	return &Call{In: string(c.where.in), Name: c.where.name, Value: c.value, Batch: c.batch}
}
