package share

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/backend"
)

// Flight is one ask that is at the backend, or queues for it. One request leads
// it, others may join and wait for its [Result].
type Flight struct {
	group  *Group
	again  bool // it is a replay
	cancel func()
	done   chan struct{} // nil until somebody joins

	// Guarded by the groups' lock.
	joiners int
	left    bool    // the leader's client is gone
	result  *Result // set before done is closed
}

// Result is what a flight brought, for those who joined it.
type Result struct {
	// Answer can be shared. It is nil if each has to ask alone, unless Err is
	// set: to that it may hold header fields.
	Answer     *backend.Answer
	NothingNew bool

	// Varies holds the request fields named by the answer's Vary, as the
	// leader's request had them: it suits requests with the same.
	Varies http.Header

	// Personal says that the backend marks the answer as one client's only, and that
	// the operator shares it all the same.
	Personal bool

	// Err is the handlers' error, of which Caddy makes an answer.
	Err error

	// Retry is when to ask again, if the ask failed or was given up; zero if it
	// was not.
	Retry time.Time
}

// Alone is the result of a flight that has nothing to share: each has to ask alone.
var Alone = new(Result)

// Suits tells whether a request with these fields would have got the answer.
// RFC 9110, section 12.5.5.
func (r *Result) Suits(field func(name string) []string) bool {
	for name, values := range r.Varies {
		if !slices.Equal(field(name), values) {
			return false
		}
	}
	return true
}

// Varied is those of a request's fields that the answer's Vary names. With
// `*` no other request would get the answer: ok is false.
func Varied(answer http.Header, field func(name string) []string) (varies http.Header, ok bool) {
	for _, line := range answer["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			switch name {
			case "":
				continue
			case "*":
				return nil, false
			}
			if varies == nil {
				varies = make(http.Header)
			}
			varies[name] = field(name)
		}
	}
	return varies, true
}

// Done is closed when the flight has ended.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Result is what it brought, once it has ended.
func (f *Flight) Result() *Result { return f.result }

// LeaderLeft is called when the leader's client is gone. The flight goes on as
// long as others wait for it; else it is cancelled.
func (f *Flight) LeaderLeft() { f.leave(func() { f.left = true }) }

// JoinerLeft is called when one who joined waits no longer.
func (f *Flight) JoinerLeft() { f.leave(func() { f.joiners-- }) }

func (f *Flight) leave(how func()) {
	s := f.group.groups
	s.mu.Lock()
	how()
	cancel := f.cancel
	if !f.left || f.joiners > 0 {
		cancel = nil
	} else {
		f.detach()
	}
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// Alone closes the flight to further joiners, unless there are some already or it
// is a replay that others need too: it tells whether the leader has the answer for
// itself.
func (f *Flight) Alone() bool {
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.joiners > 0 || f.awaited() {
		return false
	}
	f.detach()
	return true
}

// awaited tells whether others are sure to come for the answer: what released the
// leader has released them too, or will. The caller holds the groups' lock.
func (f *Flight) awaited() bool {
	g := f.group
	others := g.members - 1
	if g.reusing {
		others--
	}
	return f.again && others > 0 && g.flight == f && !g.moved()
}

// detach closes the flight to joiners. The caller holds the groups' lock.
func (f *Flight) detach() {
	if f.group.flight == f {
		f.group.flight = nil
	}
}

// Land ends the flight. The result also serves those who come later, as long as
// nothing happens on their channels; one without an answer, or of an ask that
// failed, does not: they would fail for ever. Nor is one kept for a group that its
// last member has left.
func (f *Flight) Land(r *Result) {
	s := f.group.groups
	s.mu.Lock()
	if f.group.flight == f {
		f.group.flight = nil
		if f.group.members > 0 && r.Answer != nil && r.Err == nil && r.Retry.IsZero() && !f.group.moved() {
			f.group.keep(r)
		}
	}
	f.result = r
	f.joiners = 0 // nobody waits for it any more
	if f.done != nil {
		close(f.done)
	}
	s.mu.Unlock()
}
