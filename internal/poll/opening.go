package poll

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/passing"
)

// WantsStream reports whether a request is for an event stream, there is no form of the
// answer that it would rather have, and its answer can have a body.
func WantsStream(r *http.Request) bool {
	if from := HandoverOf(r); from != nil && from.stream != nil && from.from.asksForAnything() {
		return true // the client did, and the field has been changed since
	}
	return r.Method != http.MethodHead && r.Method != http.MethodConnect && field.Prefers(r.Header, eventstream.MediaType)
}

// AskForAny has a backend that knows nothing of event streams answer a request for
// one: an EventSource accepts nothing else, and asks for a coding.
func AskForAny(header http.Header) {
	if !field.Accepts(header, "*/*") {
		header.Set("Accept", strings.Join(append(header["Accept"], "*/*;q=0.1"), ", "))
	}
	header.Set("Accept-Encoding", "identity")
}

// orAnything asks once more where the backend has nothing of the kinds that it was asked
// for: some take each of them at its word, and have nothing for an event stream whatever
// else is accepted. From then on the stream asks for anything.
func (p *Poll) orAnything(reply Reply, again bool) Reply {
	if !p.streams || !notAcceptable(reply) || p.asksForAnything() {
		return reply
	}
	p.request.Header()["Accept"] = slices.Clone(anything)
	p.regroup(nil)
	return p.ask(again)
}

var anything = []string{"*/*"}

func (p *Poll) asksForAnything() bool { return slices.Equal(p.request.Field("Accept"), anything) }

// notAcceptable reports whether the backend says so: RFC 9110, section 15.5.7.
func notAcceptable(r Reply) bool {
	switch r.Kind {
	case News:
		return r.Answer.Status == http.StatusNotAcceptable
	case Failed:
		return statusOf(r.Err) == http.StatusNotAcceptable
	}
	return false
}

// Opens tells whether what came of the first ask begins a stream of events. Else
// the client gets it as it is: a refusal, or what cannot be an event.
func (p *Poll) Opens(first Reply) bool {
	return first.Kind == NothingNew || first.Kind == News && fit(first.Answer)
}

// fit tells whether an answer's body says what the backend has to say.
func fit(a *backend.Answer) bool { return a.Status/100 == 2 && a.Status != http.StatusPartialContent }

// Open begins the stream with what the client missed, or with what the backend
// has to say at present. [Stream.Close] must follow.
func (p *Poll) Open(first Reply) *Stream {
	kept := p.kept
	if first.Kind == News {
		kept = first.Answer
	}
	client, header := p.client, p.client.Header()
	p.client = aside{header.Clone()}
	answer.AllowOrigins(header, kept.Header)
	header.Set("Content-Type", eventstream.MediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	p.stampOn(header)

	s := &Stream{poll: p, given: p.resume.Position, woken: p.start}
	s.out = passing.Attend(client, p.r, &p.limits, http.StatusOK, p.line.Streams.heartbeat())
	s.unstop = context.AfterFunc(p.line.Stopping, func() { s.out.Stop(nil) })
	s.out.WriteHeader(http.StatusOK)
	if s.full = !p.waiter.Open(); !s.full {
		s.open = p.line.Metrics.Streams
		s.open.Inc()
	}
	s.frame = eventstream.AppendComment(s.frame, "parker")
	s.frame = eventstream.AppendRetry(s.frame, p.line.Streams.retry())
	s.send(s.frame)
	s.begin(first)
	return s
}

func (s *Stream) begin(first Reply) {
	p := s.poll
	if p.resume.Given && !p.lost {
		s.id = s.given
		s.catchUp(first)
		return
	}
	if p.lost {
		s.given = brokers.Position{}
		s.event(p.start, resetEvent, nil)
	}
	s.present(first, p.start)
}
