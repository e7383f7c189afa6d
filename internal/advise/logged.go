package advise

import (
	"fmt"
	"slices"
	"strings"
)

// An access log has no bodies. What it has, the status and the length, shows which answers
// come again and again, and after which writes others come. So polls are found in it, how
// often their answers change, and who publishes. But no rule that looks at a body is made of
// a length, and nothing is shared because of it.

// isLogged reports whether all that is known of some answers is their length.
func (r *route) isLogged() bool {
	return slices.ContainsFunc(r.records, func(it record) bool { return it.answer.logged })
}

// unread gives no rule, because the bodies are not known, but notes which answers are the
// usual ones.
func (u *rule) unread(r *route, it answers) {
	u.reason = "The bodies of its answers are not known."
	u.usual = &rule{unchanged: true}
	if it.comeBack {
		sums := make(map[uint64]bool)
		for _, a := range it.idle {
			sums[a.sum] = true
		}
		u.usual = &rule{is: func(a *answer) bool { return sums[a.sum] }}
	}
	if !r.isLogged() {
		return
	}
	most, times := r.mostFrequent()
	u.reason += fmt.Sprintf(" %d of %d had %s", times, len(r.records), most.measure())
	if it.comeBack {
		u.reason += ", which came again after others."
	} else {
		u.reason += "."
	}
}

// measure says what a log tells of an answer.
func (it *answer) measure() string {
	if hasNoBody(it.status) {
		return fmt.Sprintf("the status %d", it.status)
	}
	return fmt.Sprintf("the status %d and %s", it.status, count(int(it.length), "byte"))
}

// mostFrequent returns the answer that came most often.
func (r *route) mostFrequent() (most *answer, times int) {
	counts := make(map[*answer]int)
	for i := range r.records {
		it := r.records[i].answer
		counts[it]++
		if n := counts[it]; n > times {
			most, times = it, n
		}
	}
	return most, times
}

// tellUsual adds to the reason why nothing is held what is known without bodies: how the poll
// asks, when its answers changed, and how to look at one.
func (p *Poll) tellUsual(r *route, usual *rule, others []*route) {
	changes := r.changes(usual)
	p.Changes, p.Certainty = len(changes), certaintyOf(len(changes))
	p.Same = 0
	for _, s := range r.steps {
		if usual.held(s) {
			p.Same++
		}
	}
	explain(p, r, changes, nil, others)
	if p.Changes == 0 && r.key.isWrite() {
		p.Reason += fmt.Sprintf(" It is a %s whose answers never changed, and is probably a write.", p.Method)
		return
	}
	p.Reason += fmt.Sprintf(" %s, each every %s.", count(p.Clients, "client")+" asked", p.Every)
	switch {
	case p.Changes == 0:
		p.Reason += " No change was seen."
	case len(p.Publishers) > 0:
		for i := range p.Publishers[:min(3, len(p.Publishers))] {
			it := &p.Publishers[i]
			p.Reason += fmt.Sprintf(" It changed after %s, %d of %d times, usually seen within %s%s.", it.Title(), it.Followed, it.Writes, it.Within, seldom(it.Followed))
		}
		if p.Unknown > 0 {
			p.Reason += fmt.Sprintf(" No write explains %d of %d changes%s.", p.Unknown, p.Changes, p.apart())
		}
	default:
		p.Reason += fmt.Sprintf(" No write explains its %s%s.", count(p.Changes, "change"), p.apart())
	}
	p.Reason += " To write nothing_new for it, look at an answer while nothing happens" + p.look()
}

// warnOfLength says what is assumed if the usual answer is as short as an empty list.
func (p *Poll) warnOfLength(r *route) {
	if slices.ContainsFunc(r.records, func(it record) bool { return it.answer.seemsEmpty() }) {
		p.Warnings = append(p.Warnings, "This was read from a log, which has no bodies: that the short answers are [] or {} is an assumption. parker holds no others, so if it is wrong, it holds nothing. Look at an answer while nothing happens"+p.look())
	}
}

// look says how to look at an answer, without sending again what could be a write.
func (p *Poll) look() string {
	if p.Method != "GET" {
		return " in the network tab of a browser."
	}
	return fmt.Sprintf(": curl -si '<address of the application>%s'", strings.ReplaceAll(p.Path, "'", "%27"))
}
