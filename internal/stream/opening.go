package stream

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
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/response"
)

// Start opens the stream of a request, or continues one that an older configuration has
// opened. [Stream.Close] must follow. It returns nil if the reply to the first ask does not
// begin a stream: it is a refusal, or cannot be an event, and is for the client as it is.
func Start(p *poll.Poll, options *Options) (*Stream, asker.Reply) {
	if s, ok := p.Continues().(*Stream); ok {
		s.resume()
		return s, asker.Reply{}
	}
	reply := first(p)
	if !opens(reply) && (!outlasts(p, reply) || needsOrigins(p, reply)) {
		return nil, reply
	}
	s := &Stream{poll: p, opener: p}
	s.open(reply, options)
	return s, asker.Reply{}
}

// first asks the backend for the first time. If the backend is unavailable and the stream
// cannot begin without it, it asks again for as long as a poll may take.
func first(p *poll.Poll) asker.Reply {
	reply := orAnything(p, p.First(), p.First)
	for failures := 0; outlasts(p, reply) && needsOrigins(p, reply) && time.Now().Before(p.Asker.Patience); failures++ {
		p.Asker.Limits.Lift()
		select {
		case <-time.After(asker.Backoff(failures)):
			reply = orAnything(p, p.First(), p.First)
		case <-p.Asker.HTTP.Context().Done():
			return asker.Reply{Kind: asker.Left}
		case <-p.Config().Asking.Hub.Stopping.Done():
			return reply
		}
	}
	return reply
}

// opens reports whether the backend lets the client in.
func opens(first asker.Reply) bool {
	return first.Kind == asker.NothingNew || first.Kind == asker.News && fits(first.Answer)
}

// fits reports whether an answer can be an event.
func fits(a *ask.Answer) bool { return a.Status/100 == 2 && a.Status != http.StatusPartialContent }

// outlasts reports whether the stream waits for a backend that is unavailable at the first
// ask. An EventSource that gets a failure never comes back, and parker may have sent it
// away itself. A client that accepts other answers as well can handle a failure.
func outlasts(p *poll.Poll, first asker.Reply) bool {
	if !p.Resume.Given && !p.Streaming().Only {
		return false
	}
	switch first.Kind {
	case asker.Broken:
		return first.Answer != nil // otherwise the client has a part of it
	case asker.TimedOut:
		return true // while it queued
	}
	return first.Unavailable()
}

// needsOrigins reports whether a page of another origin asks, and nothing says yet that it
// may read the answer, as a handler further out or the failure itself could. Only the
// backend knows, and without its permission browsers give up the stream.
func needsOrigins(p *poll.Poll, first asker.Reply) bool {
	const allowed = "Access-Control-Allow-Origin"
	return isCrossOrigin(p) && p.Asker.Writer.Header().Get(allowed) == "" && (first.Answer == nil || first.Answer.Header.Get(allowed) == "")
}

// isCrossOrigin reports whether a page of another origin asks (RFC 6454, section 7).
func isCrossOrigin(p *poll.Poll) bool {
	lines := p.Asker.Request.Field("Origin")
	if len(lines) == 0 || slices.Equal(p.Asker.Request.Field("Sec-Fetch-Site"), []string{"same-origin"}) {
		return false
	}
	origin, err := url.Parse(lines[0])
	return err != nil || !strings.EqualFold(origin.Host, p.Asker.HTTP.Host)
}

// open sends the header of the stream, and then what the client has missed, or the
// backend's present answer. If the backend is unavailable, it sends neither.
func (s *Stream) open(first asker.Reply, options *Options) {
	p := s.poll
	s.given, s.woken, s.away = p.Resume.Position, p.Resume.Start, !opens(first)
	client := p.Asker.Writer
	header := client.Header()
	// The answers to replays do not go to the client, unless as events. Replays find the
	// header as the first ask did.
	p.Asker.Writer = response.Discard(header.Clone())
	s.setHeader(header, first)

	heartbeat := options.HeartbeatTime()
	out := response.Attend(client, p.Asker.HTTP, &p.Asker.Limits, http.StatusOK, heartbeat)
	s.out = out
	s.unstop = context.AfterFunc(p.Config().Asking.Hub.Stopping, func() { out.Stop(nil) })
	out.WriteHeader(http.StatusOK)
	if s.full = !p.Space.Waiter.Open(); !s.full {
		s.count = s.metrics().Streams
		s.count.Inc()
	}
	s.frame = eventstream.AppendComment(s.frame, "parker")
	s.frame = eventstream.AppendRetry(s.frame, options.retryTime())
	s.send(s.frame)
	if s.away {
		s.await()
	} else {
		s.begin(first)
	}
}

// setHeader sets the header of the stream. The client is told of its position only if the
// backend has let it in.
func (s *Stream) setHeader(header http.Header, first asker.Reply) {
	p := s.poll
	said := first.Answer
	if said == nil {
		said = p.Asker.Kept
	}
	if said != nil {
		answer.AllowOrigins(header, said.Header)
	}
	header.Set("Content-Type", eventstream.MediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if !s.away {
		p.AddFields(header)
		return
	}
	p.Asker.Cookies.Give(header)
	answer.VaryByAccept(header)
	report := p.Report
	report.Position = brokers.Position{}
	report.Put(header)
}

// begin sends what the client may have, after the backend has let it in.
func (s *Stream) begin(first asker.Reply) {
	p := s.poll
	switch {
	case p.IsLost():
		s.given = p.Resume.Start
		s.event(p.Resume.Start, resetEvent, nil)
		s.present(first, p.Resume.Start)
	case p.Resume.Given:
		s.id = s.given
		s.catchUp(first)
	case s.given != (brokers.Position{}):
		s.present(first, s.given)
		s.catchUp(first)
	default:
		s.present(first, p.Resume.Start)
	}
}

// await makes the stream wait for a backend that is unavailable. A client without a
// position will get what is published from now on.
func (s *Stream) await() {
	p := s.poll
	if !p.Resume.Given {
		s.given = p.Resume.Start
	}
	p.Asker.Refuse()
}

// tryToBegin asks a backend again that was unavailable, and begins if it lets the client
// in. What has been published meanwhile is in the history, as before a first ask.
func (s *Stream) tryToBegin() {
	p := s.poll
	p.Space.Waiter.Take()
	p.Resume.Recheck(p.Position())
	reply := s.ask()
	switch {
	case opens(reply):
		s.away = false
		s.begin(reply)
	case reply.Kind == asker.TimedOut:
		p.Asker.Refuse()
	case reply.Kind == asker.Unfit:
		s.ended = true // the client comes back, and gets it as it is
	case reply.Kind != asker.Refused:
		s.present(reply, p.Resume.Start)
	}
}
