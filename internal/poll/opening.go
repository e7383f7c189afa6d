package poll

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/response"
)

// WantsStream reports whether a request is for an event stream, there is no form of the
// answer that it would rather have, and its answer can have a body; and whether the
// client accepts nothing else, as an EventSource.
func WantsStream(r *http.Request) (stream, only bool) {
	if from := HandoverOf(r); from != nil && from.stream != nil && from.from.asksForAnything() {
		return true, false // the client did, and the field has been changed since
	}
	if r.Method == http.MethodHead || r.Method == http.MethodConnect || !field.Prefers(r.Header, eventstream.MediaType) {
		return false, false
	}
	return true, field.AcceptsOnly(r.Header, eventstream.MediaType)
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

// FirstOfStream is [Poll.First] for a stream. Where the backend is away and the stream
// cannot begin without it, it is asked again for as long as a poll may take.
func (p *Poll) FirstOfStream() Reply {
	reply := p.First()
	for failures := 0; p.outlasts(reply) && p.needsOrigins(reply) && time.Now().Before(p.patience); failures++ {
		p.limits.Lift()
		p.failures = failures
		select {
		case <-time.After(p.backoff()):
			reply = p.First()
		case <-p.r.Context().Done():
			return Reply{Kind: Left}
		case <-p.config.Stopping.Done():
			return reply
		}
	}
	return reply
}

// Opens reports whether what came of the first ask begins a stream of events. Else
// the client gets it as it is: a refusal, or what cannot be an event.
func (p *Poll) Opens(first Reply) bool {
	return opens(first) || p.outlasts(first) && !p.needsOrigins(first)
}

func opens(first Reply) bool {
	return first.Kind == NothingNew || first.Kind == News && fit(first.Answer)
}

// outlasts reports whether the stream goes on until a backend is back that was away at
// the first ask. An EventSource that is told of a failure never comes again, though it may
// have been parker that sent it away; to a client that takes other answers too, the
// failure is one.
func (p *Poll) outlasts(first Reply) bool {
	if !p.resume.Given && !p.only {
		return false
	}
	switch first.Kind {
	case News:
		return unavailable(first.Answer.Status)
	case Failed:
		return refused(first.Err)
	case Broken:
		return first.Answer != nil // else the client has the start of it
	case TimedOut:
		return true // in the queue
	}
	return false
}

// needsOrigins reports whether a page of another origin asks, and nothing says yet that
// it may read the answer, as a handler further out or the failure itself could. Only the
// backend knows, and without it browsers give up the stream.
func (p *Poll) needsOrigins(first Reply) bool {
	const allowed = "Access-Control-Allow-Origin"
	return p.crossOrigin() && p.client.Header().Get(allowed) == "" && (first.Answer == nil || first.Answer.Header.Get(allowed) == "")
}

// crossOrigin reports whether a page of another origin asks: RFC 6454, section 7.
func (p *Poll) crossOrigin() bool {
	lines := p.request.Field("Origin")
	if len(lines) == 0 || slices.Equal(p.request.Field("Sec-Fetch-Site"), []string{"same-origin"}) {
		return false
	}
	origin, err := url.Parse(lines[0])
	return err != nil || !strings.EqualFold(origin.Host, p.r.Host)
}

// fit reports whether an answer's body says what the backend has to say.
func fit(a *ask.Answer) bool { return a.Status/100 == 2 && a.Status != http.StatusPartialContent }

// Open begins the stream with what the client missed, or with what the backend
// has to say at present; where that is away, with neither. [Stream.Close] must follow.
func (p *Poll) Open(first Reply) *Stream {
	said := first.Answer
	if said == nil {
		said = p.kept
	}
	s := &Stream{poll: p, given: p.resume.Position, woken: p.start, away: !opens(first)}
	client, header := p.client, p.client.Header()
	// Nothing of a replay's answer goes to the client but as an event. A replay finds the
	// header as the first ask did.
	p.client = response.Discard(header.Clone())
	if said != nil {
		answer.AllowOrigins(header, said.Header)
	}
	header.Set("Content-Type", eventstream.MediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	s.reportTo(header)

	s.out = response.Attend(client, p.r, &p.limits, http.StatusOK, p.config.Streams.heartbeat())
	s.unstop = context.AfterFunc(p.config.Stopping, func() { s.out.Stop(nil) })
	s.out.WriteHeader(http.StatusOK)
	if s.full = !p.waiter.Open(); !s.full {
		s.open = p.config.Metrics.Streams
		s.open.Inc()
	}
	s.frame = eventstream.AppendComment(s.frame, "parker")
	s.frame = eventstream.AppendRetry(s.frame, p.config.Streams.retry())
	s.send(s.frame)
	if s.away {
		s.await()
	} else {
		s.begin(first)
	}
	return s
}

// reportTo adds what parker has to say. A client that the backend has not let in is told
// nothing of events.
func (s *Stream) reportTo(header http.Header) {
	p := s.poll
	if !s.away {
		p.reportTo(header)
		return
	}
	p.cookies.Give(header)
	answer.VaryByAccept(header)
	report := p.report
	report.Position = brokers.Position{}
	report.Put(header)
}

// begin gives what the backend has let the client in for.
func (s *Stream) begin(first Reply) {
	p := s.poll
	switch {
	case p.lostPosition():
		s.given = p.start
		s.event(p.start, resetEvent, nil)
		s.present(first, p.start)
	case p.resume.Given:
		s.id = s.given
		s.catchUp(first)
	case s.given != (brokers.Position{}):
		s.present(first, s.given)
		s.catchUp(first)
	default:
		s.present(first, p.start)
	}
}

// await has the stream wait for a backend that is away. A client without a position
// will hear what comes from now on.
func (s *Stream) await() {
	p := s.poll
	if !p.resume.Given {
		s.given = p.start
	}
	p.refused(time.Time{})
}

// tryToBegin asks a backend again that was away, and begins if it lets the client in.
// What has come meanwhile is in the history, as before a first ask.
func (s *Stream) tryToBegin() {
	p := s.poll
	p.waiter.Take()
	p.start, p.checked = p.config.Broker.Position(), false
	reply := p.Again()
	switch {
	case opens(reply):
		s.away = false
		s.begin(reply)
	case reply.Kind == TimedOut:
		p.refused(time.Time{})
	case reply.Kind == Unfit:
		s.ended = true // the client comes again, and gets it as it is
	case reply.Kind != Refused:
		s.present(reply, p.start)
	}
}
