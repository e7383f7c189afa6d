package poll

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/response"
)

// Handover is a poll that goes through the configuration which has taken the place
// of its own, to be parked there from now on.
type Handover struct {
	from   *Poll // nil once it is taken
	to     http.Handler
	stream *Stream // nil: it is no stream
	again  bool    // the stream is to ask again, whatever was published
	taken  bool
	skips  int // how many handlers are to let it pass

	closed http.Handler // where it was to go, but there is no such site; nil: not known
	onward *Handover    // the poll that took it is to move as well
}

type handoverKey struct{}

// HandoverOf is the handover that a request is, or nil.
func HandoverOf(r *http.Request) *Handover {
	handover, _ := r.Context().Value(handoverKey{}).(*Handover)
	if handover == nil || handover.taken {
		return nil
	}
	return handover
}

// Passes reports whether a handler that waits on other channels is to let the handover
// pass: the request was held further in. A nil handover is none.
func (h *Handover) Passes(channels []string) bool {
	if h == nil || h.skips == 0 || slices.Equal(channels, h.from.channels) {
		return false
	}
	h.skips--
	return true
}

// Move sends the poll, as it came to parker, through another server. It tells
// whether that answered, or parks it now; else nothing has happened: there is no
// such site. again is for a stream that is to ask whatever was published.
//
// A poll that has come from another is sent by the first of them, so that nothing of
// the configurations in between is left, however many there are.
func (p *Poll) Move(to http.Handler, stream *Stream, again bool) bool {
	handover := &Handover{from: p, to: to, stream: stream, again: again}
	if p.came != nil {
		if p.came.closed == to {
			return false
		}
		p.came.onward = handover
		p.moved, p.sentBack = true, true
		p.debugMoved()
		return true
	}
	before := maps.Clone(p.client.Header())
	defer func() {
		if from := handover.from; from != nil && from != p {
			from.leave()
		}
	}()
	for {
		status := p.send(handover)
		from := handover.from
		switch {
		case handover.onward != nil:
			handover = handover.onward
			continue
		case handover.taken:
		case status >= http.StatusMultipleChoices && handover.stream != nil:
			handover.stream.fail(status)
		case status != 0:
		case from == p:
			maps.Copy(p.client.Header(), before)
			return false
		case handover.closed == nil:
			// It goes on where it was, and not away from there again.
			handover = &Handover{from: from, to: from.came.to, stream: handover.stream, again: handover.again, closed: handover.to}
			continue
		}
		p.moved = true
		if p.outer != nil {
			p.outer.elsewhere = true
		}
		p.debugMoved()
		return true
	}
}

// send sends a poll through the server that it is to move to, and returns the status
// of what that answered, or 0.
func (p *Poll) send(h *Handover) int {
	client := response.Discard(make(http.Header)) // of a stream, the header is sent
	if h.stream == nil {
		client = innermost(p.client)
	}
	clear(client.Header())
	h.skips = h.from.depth
	w := response.Pass(client, p.r, response.Options{})
	h.to.ServeHTTP(w, h.from.request.Anew(context.WithValue(p.r.Context(), handoverKey{}, h)))
	return w.Status()
}

// Moved reports whether another configuration has the poll, and logs it.
func (p *Poll) Moved() bool { return p.moved }

// innermost is the server's own writer, without what a configuration has put
// around it.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// take makes a new poll what another was. It goes on waiting in the same place, if
// that is where the new configuration has it wait; else it takes along what came.
func (p *Poll) take(h *Handover) {
	h.taken = true
	from := h.from
	own := p.waiter
	switch {
	case p.streams != from.streams:
	case p.config.Interest == from.config.Interest && slices.Equal(p.channels, from.channels):
		p.waiter, from.waiter = from.waiter, own
	default:
		p.waiter.Inherit(from.waiter)
	}
	p.continues = true
	p.depth = from.depth
	p.state = from.state
	if h.stream != nil && p.streams {
		p.stream = h.stream
		// On other channels, there may be news that nothing has told it of.
		p.stream.continueAs(p, h.again || !p.messagesOnly() && !slices.Equal(p.channels, from.channels))
	}
	if p.waiter == own && p.supersede == from.supersede && p.supersede != (Key{}) && !p.config.Newest.Replace(p.supersede, from.waiter, own) {
		own.Supersede(nil) // a newer poll came meanwhile
	}
	from.leave()
	h.from, p.came = nil, h
}

// continueAs has the stream go on for another poll.
func (s *Stream) continueAs(p *Poll, again bool) {
	s.poll, s.again = p, again || s.away
	p.client.WriteHeader(http.StatusOK) // for the access log: the client has it
	p.client = response.Discard(p.client.Header().Clone())
	if !p.waiter.IsOpen() {
		s.full = !p.waiter.Open()
	}
}

// Continues is the stream that the poll has taken over, or nil.
func (p *Poll) Continues() *Stream { return p.stream }

// Resume makes a stream that was taken over ask again, if it is to. If an event came
// shortly before, it is looked at again here: looks of the older configuration are not.
func (s *Stream) Resume() {
	if s.again {
		s.again = false
		s.poll.Released(answer.Replay)
		s.Replay()
		s.poll.why = coalesce.First
	}
}
