package poll

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-parker/parker/internal/response"
)

// moving is how a poll goes from one configuration to the next.
type moving struct {
	continues bool      // the poll has taken over from one of an older configuration
	came      *Handover // by this
	stream    Stream    // of the older poll, or nil
	moved     bool      // a poll of a newer configuration has taken over, or is about to
	sentBack  bool      // the first poll of the chain sends the request to the newer configuration
	left      bool      // the poll is no longer in the lot
}

// Stream is an answer that has begun, and continues in the new configuration.
type Stream interface {
	// Fail ends the stream, because the new configuration answers with an error.
	Fail(status int)

	// ContinueAs makes the stream continue for the poll of the new configuration. If
	// again is true, it asks the backend first.
	ContinueAs(p *Poll, again bool)
}

// Handover is a poll on its way through the configuration that has replaced its own, where
// it is to be parked.
type Handover struct {
	from   *Poll // nil once it is taken
	to     http.Handler
	stream Stream // nil if it is not a stream
	again  bool   // the stream must ask again, whatever was published
	taken  bool
	skips  int // how many handlers must let it pass

	closed http.Handler // where it should go, but there is no such site; nil if not known
	onward *Handover    // the poll that took it must move as well
}

type handoverKey struct{}

// HandoverOf returns the handover that a request is part of, or nil.
func HandoverOf(r *http.Request) *Handover {
	handover, _ := r.Context().Value(handoverKey{}).(*Handover)
	if handover == nil || handover.taken {
		return nil
	}
	return handover
}

// StreamOf returns the poll whose stream is handed over with a request, or nil.
func StreamOf(r *http.Request) *Poll {
	if handover := HandoverOf(r); handover != nil && handover.stream != nil {
		return handover.from
	}
	return nil
}

// Passes reports whether a handler that waits on other channels must let the handover pass,
// because the request was held further in. h may be nil.
func (h *Handover) Passes(channels []string) bool {
	if h == nil || h.skips == 0 || slices.Equal(channels, h.from.Asker.Channels) {
		return false
	}
	h.skips--
	return true
}

// Move sends the poll, as the client sent it, through the server of another configuration.
// It returns true if that has answered it or parks it now. Otherwise nothing has changed,
// because there is no such site. stream is nil unless the answer is a stream; with again,
// the stream asks the backend whatever was published.
//
// A poll that has come from another configuration is sent by the first poll of the chain,
// so that nothing of the configurations in between is left, however many there are.
func (p *Poll) Move(to http.Handler, stream Stream, again bool) bool {
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
	before := maps.Clone(p.Asker.Writer.Header())
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
			handover.stream.Fail(status)
		case status != 0:
		case from == p:
			maps.Copy(p.Asker.Writer.Header(), before)
			return false
		case handover.closed == nil:
			// It goes on where it was, and does not try to leave from there again.
			handover = &Handover{from: from, to: from.came.to, stream: handover.stream, again: handover.again, closed: handover.to}
			continue
		}
		p.moved = true
		p.Asker.MovedAway()
		p.debugMoved()
		return true
	}
}

// send sends a poll through the server that it must move to. It returns the status with
// which that answers, or 0.
func (p *Poll) send(h *Handover) int {
	client := response.Discard(make(http.Header)) // a stream's header has been sent
	if h.stream == nil {
		client = innermost(p.Asker.Writer)
	}
	clear(client.Header())
	h.skips = h.from.Asker.Depth()
	w := response.Pass(client, p.Asker.HTTP, response.Options{})
	h.to.ServeHTTP(w, h.from.Asker.Request.Anew(context.WithValue(p.context(), handoverKey{}, h)))
	return w.Status()
}

// innermost returns the server's own writer, without what a configuration has put around
// it.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// take makes a new poll continue one of an older configuration. It keeps the same waiter
// if it waits for the same events here. Otherwise it takes over what that has noted.
func (p *Poll) take(h *Handover) {
	h.taken = true
	from := h.from
	sameChannels := slices.Equal(p.Asker.Channels, from.Asker.Channels)
	sameForm := p.Asker.Streams == from.Asker.Streams
	if sameForm && sameChannels && p.config.Asking.Interest == from.config.Asking.Interest {
		p.Space.Continue(&from.Space)
	} else {
		p.Space.Follow(&from.Space, sameForm)
	}
	p.continues = true
	p.Asker.TakeOver(&from.Asker)
	p.Space.Deadline = from.Space.Deadline
	p.Resume, p.Report = from.Resume, from.Report
	from.leave() // before a stream takes its place in the lot
	if h.stream != nil && p.Asker.Streams {
		p.stream = h.stream
		// On other channels there may be news that no event has told the stream of.
		p.stream.ContinueAs(p, h.again || !p.Asker.MessagesOnly() && !sameChannels)
	}
	h.from, p.came = nil, h
}

// Continues returns the stream that the poll has taken over, or nil.
func (p *Poll) Continues() Stream { return p.stream }

// Moved reports whether another configuration has the poll, and logs it.
func (p *Poll) Moved() bool { return p.moved }
