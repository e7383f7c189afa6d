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
	group *Group
	done  chan struct{}

	// Guarded by the groups' lock.
	joiners int
	left    bool // the leader's client is gone
	cancel  func()
	result  *Result // set before done is closed
}

// Result is what a flight brought, for those who joined it.
type Result struct {
	// Answer can be shared. It is nil if each has to ask alone.
	Answer     *backend.Answer
	NothingNew bool

	// Varies holds the request fields named by the answer's Vary, as the
	// leader's request had them: it suits requests with the same.
	Varies http.Header

	// Err is the handlers' error, of which Caddy makes an answer.
	Err error

	// Retry is when to ask again, if the ask failed; zero if it did not.
	Retry time.Time
}

// Suits tells whether a request with this header would have got the answer.
// RFC 9110, section 12.5.5.
func (r *Result) Suits(header http.Header) bool {
	for name, values := range r.Varies {
		if !slices.Equal(header[name], values) {
			return false
		}
	}
	return true
}

// Varied is the part of a request's header that the answer's Vary names. With
// `*` no other request would get the answer: ok is false.
func Varied(answer, request http.Header) (varies http.Header, ok bool) {
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
			varies[name] = request[name]
		}
	}
	return varies, true
}

// Done is closed when the flight has ended.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Result is what it brought, once it has ended.
func (f *Flight) Result() *Result { return f.result }

// OnAbandoned names what is called if the leader's client is gone and nobody else
// waits for the answer either.
func (f *Flight) OnAbandoned(cancel func()) {
	f.group.groups.mu.Lock()
	defer f.group.groups.mu.Unlock()
	f.cancel = cancel
}

// LeaderLeft is called when the leader's client is gone. The flight goes on as
// long as others wait for it.
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

// Alone closes the flight to further joiners, unless there are some already: it
// tells whether the leader has the answer for itself.
func (f *Flight) Alone() bool {
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.joiners > 0 {
		return false
	}
	f.detach()
	return true
}

// detach closes the flight to joiners. The caller holds the groups' lock.
func (f *Flight) detach() {
	if f.group.flight == f {
		f.group.flight = nil
	}
}

// Land ends the flight. The result also serves those who come later, as long as
// nothing happens on their channels; one without an answer serves nobody.
func (f *Flight) Land(r *Result) {
	s := f.group.groups
	s.mu.Lock()
	if f.group.flight == f {
		f.group.flight = nil
		if r.Answer != nil && !f.group.watcher.Moved() {
			f.group.keep(r)
		}
	}
	f.result = r
	s.mu.Unlock()
	close(f.done)
}
