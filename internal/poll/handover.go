package poll

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
)

// Handover is a poll that goes through the configuration which has taken the place
// of its own, to be parked there from now on.
type Handover struct {
	from   *Poll
	stream *Stream // nil: it is no stream
	again  bool    // the stream is to ask again, whatever was published
	taken  bool
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

// Move sends the poll, as it came to parker, through another server. It tells
// whether that answered, or parks it now; else nothing has happened: there is no
// such site. again is for a stream that is to ask whatever was published.
func (p *Poll) Move(to http.Handler, stream *Stream, again bool) bool {
	handover := &Handover{from: p, stream: stream, again: again}
	client := http.ResponseWriter(aside{make(http.Header)}) // of a stream, the header is sent
	if stream == nil {
		client = innermost(p.client)
	}
	header := client.Header()
	before := maps.Clone(header)
	clear(header)
	w := &landing{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: client}}
	to.ServeHTTP(w, p.request.Anew(context.WithValue(p.r.Context(), handoverKey{}, handover)))
	if !handover.taken && w.status == 0 {
		maps.Copy(header, before)
		return false
	}
	if stream != nil && !handover.taken && w.status >= http.StatusMultipleChoices {
		stream.fail(w.status)
	}
	p.moved = true
	return true
}

// Moved tells whether another configuration has the poll, and logs it.
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

// landing notes whether a server answers.
type landing struct {
	*caddyhttp.ResponseWriterWrapper
	status int
}

func (l *landing) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		l.status = status
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *landing) Write(p []byte) (int, error) {
	if l.status == 0 {
		l.status = http.StatusOK
	}
	return l.ResponseWriter.Write(p)
}

// take makes a new poll what another was. It goes on waiting in the same place, if
// that is where the new configuration has it wait.
func (p *Poll) take(h *Handover) {
	h.taken = true
	from := h.from
	own := p.waiter
	if p.line.Interest == from.line.Interest && p.streams == from.streams && slices.Equal(p.channels, from.channels) {
		p.waiter, from.waiter = from.waiter, own
	}
	p.continues = true
	p.deadline, p.patience = from.deadline, from.patience
	p.resume, p.start, p.lost, p.checked = from.resume, from.start, from.lost, from.checked
	p.kept, p.cookies, p.failures, p.passes = from.kept, from.cookies, from.failures, from.passes
	p.stamp = from.stamp
	if h.stream != nil && p.streams {
		p.stream = h.stream
		p.stream.continueAs(p, h.again)
	}
	from.leave()
}

// continueAs has the stream go on for another poll.
func (s *Stream) continueAs(p *Poll, again bool) {
	s.poll, s.again = p, again
	p.client.WriteHeader(http.StatusOK) // for the access log: the client has it
	p.client = aside{p.client.Header().Clone()}
	if !p.waiter.IsOpen() {
		s.full = !p.waiter.Open()
	}
}

// Continues is the stream that the poll has taken over, or nil.
func (p *Poll) Continues() *Stream { return p.stream }

// Resume has a stream that was taken over ask again, if that is what it was about
// to do.
func (s *Stream) Resume() {
	if s.again {
		s.again = false
		s.poll.Released(answer.Replay)
		s.Replay()
	}
}
