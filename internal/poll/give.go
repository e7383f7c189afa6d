package poll

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
)

var errUnasked = errors.New("the poll ended before the backend had answered it")

// Give ends the poll with what came of its last ask: news, or a failure that is
// passed on.
func (p *Poll) Give(r Reply) error {
	switch r.Kind {
	case Streamed:
		return r.Err
	case Left:
		p.Released(answer.Left)
		p.client.WriteHeader(caddyinternals.StatusClientClosed)
		return nil
	case TimedOut:
		return p.giveTimeout()
	}
	p.report.Detail = answer.News
	if r.Kind != News || !admits(r.Answer.Status) {
		p.report.Detail = answer.Status
		p.deny()
	}
	if r.Answer != nil {
		p.debugNotHeld(r.Answer.Status)
		p.write(r.Answer)
	} else {
		p.finish(p.client.Header())
	}
	if r.Kind == Broken {
		// The client is to see the part of the answer that came, as it would without
		// parker. Otherwise it could think that the request never arrived.
		_ = http.NewResponseController(p.client).Flush()
		panic(http.ErrAbortHandler)
	}
	return r.Err
}

// AtOnce reports whether a poll with nothing new is not to be held, and why.
func (p *Poll) AtOnce() (why answer.Detail, ok bool) {
	switch {
	case p.lost:
		return answer.Lost, true
	case p.report.Wait == 0: // Prefer: wait=0
		return answer.Wait, true
	}
	return "", false
}

// GiveAtOnce ends a poll that is not held with its nothing-new answer.
func (p *Poll) GiveAtOnce(why answer.Detail) error {
	p.report.Detail = why
	return p.GiveKept(answer.None)
}

// GiveKept ends the poll with the nothing-new answer that the backend gave last.
func (p *Poll) GiveKept(release answer.Release) error {
	p.report.Release = release
	if p.kept == nil {
		header := p.client.Header()
		header.Set("Retry-After", "1")
		p.finish(header)
		return caddyhttp.Error(http.StatusServiceUnavailable, errUnasked)
	}
	p.write(p.kept)
	return nil
}

func (p *Poll) giveTimeout() error {
	if message := p.waiter.TakeMessage(); message != nil && p.kept != nil {
		return p.GiveMessage(message) // it came during the last replay
	}
	release := answer.Timeout
	switch {
	case p.config.Stopping.Err() != nil:
		release = answer.Stop
	case !p.retry.IsZero():
		release = answer.Error
	}
	if p.config.TimeoutStatus == 0 {
		return p.GiveKept(release)
	}
	p.report.Release = release
	a := noContentAfter(p.kept)
	a.Status = p.config.TimeoutStatus
	p.write(a)
	return nil
}

// GiveMessage ends the poll with a published message.
func (p *Poll) GiveMessage(event *lot.Event) error {
	p.report.Release = answer.Message
	message := event.Event
	message.Position = p.resume.Position.Merge(message.Position)
	return p.giveMessages([]brokers.Event{message})
}

// giveMessages answers with one message, or with several as the client wants it.
func (p *Poll) giveMessages(events []brokers.Event) error {
	p.report.Position = brokers.Position{} // that of the last message counts
	p.finish(p.client.Header())
	write := answer.WriteMessage
	if p.resume.Batch {
		write = answer.WriteBatch
	}
	written(write(p.client, events, p.kept.Header))
	return nil
}

// Released says why the poll was let go, should its next ask bring news.
func (p *Poll) Released(why answer.Release) {
	p.report.Release = why
	p.why = coalesce.Anew
	if p.ended.Cause == lot.Published {
		p.why = coalesce.InVain // unless it does
	}
}

func (p *Poll) write(a *ask.Answer) {
	header := p.client.Header()
	a.Apply(header)
	p.finish(header)
	written(a.WriteTo(p.client))
}

// written aborts an answer that could not be sent whole, as reverse_proxy does: over
// HTTP/3 the part that was sent would pass for all of it. A body that the status or the
// declared length rules out is no such case.
func written(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		panic(http.ErrAbortHandler)
	}
}

// admits reports whether an answer lets the request in: a client that is refused is told
// nothing of what was published.
func admits(status int) bool { return status/100 == 2 || status == http.StatusNotModified }

// deny removes all that the answer would say of events: the client keeps the position
// that it has.
func (p *Poll) deny() {
	p.resume, p.lost, p.report.Position = Resume{}, false, brokers.Position{}
}

// finish readies the client's answer to be written: it adds what parker has to
// say to its header, and has the server's time limits count again.
func (p *Poll) finish(header http.Header) {
	p.limits.Impose()
	p.reportTo(header)
}

// reportTo adds what parker has to say to an answer's header.
func (p *Poll) reportTo(header http.Header) {
	p.cookies.Give(header)
	answer.VaryByAccept(header)
	if p.lostPosition() {
		p.report.Lost, p.report.Position = true, p.start
	}
	p.report.Put(header)
}
