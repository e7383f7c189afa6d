package poll

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/lot"
)

var errUnasked = errors.New("the poll ended before the backend had answered it")

// Give ends the poll with the reply to its last ask: news, or a failure.
func (p *Poll) Give(r asker.Reply) error {
	switch r.Kind {
	case asker.Streamed:
		return r.Err
	case asker.Left:
		p.Released(answer.Left)
		p.Asker.Writer.WriteHeader(caddyinternals.StatusClientClosed)
		return nil
	case asker.TimedOut:
		return p.giveTimeout()
	}
	switch {
	case r.Kind != asker.News || !asker.Admits(r.Answer.Status):
		p.Report.Detail = answer.Status
		p.deny()
	case p.Report.Release == answer.None:
		p.Report.Detail = p.Asker.News()
	}
	p.Asker.Gave(r.Answer)
	if r.Answer != nil {
		p.debugNotHeld(r.Answer.Status)
		p.write(r.Answer)
	} else {
		p.Finish(p.Asker.Writer.Header())
	}
	if r.Kind == asker.Broken {
		// The client gets the part of the answer that has arrived, as it would without
		// parker. Otherwise it could think that the request never reached the backend.
		_ = http.NewResponseController(p.Asker.Writer).Flush()
		panic(http.ErrAbortHandler)
	}
	return r.Err
}

// AtOnce reports whether a poll with nothing new must not be held, and why.
func (p *Poll) AtOnce() (why answer.Detail, ok bool) {
	switch {
	case p.Resume.Lost:
		return answer.Lost, true
	case p.unknown:
		return answer.Unknown, true
	case p.Report.Wait == 0: // Prefer: wait=0
		return answer.Wait, true
	case p.Asker.Follows():
		return answer.News, true
	}
	return "", false
}

// GiveAtOnce ends a poll that is not held with its nothing-new answer.
func (p *Poll) GiveAtOnce(why answer.Detail) error {
	p.Report.Detail = why
	return p.GiveKept(answer.None)
}

// GiveKept ends the poll with the backend's last nothing-new answer.
func (p *Poll) GiveKept(release answer.Release) error {
	p.Report.Release = release
	if p.Asker.Kept == nil {
		header := p.Asker.Writer.Header()
		header.Set("Retry-After", "1")
		p.Finish(header)
		return caddyhttp.Error(http.StatusServiceUnavailable, errUnasked)
	}
	p.Asker.GaveKept()
	p.write(p.Asker.Kept)
	return nil
}

func (p *Poll) giveTimeout() error {
	if message := p.Space.Waiter.TakeMessage(); message != nil && p.Asker.Kept != nil {
		return p.GiveMessage(message) // it came during the last replay
	}
	release := answer.Timeout
	switch {
	case p.config.Asking.Hub.Stopping.Err() != nil:
		release = answer.Stop
	case !p.Asker.Retry.IsZero():
		release = answer.Error
	}
	if p.config.TimeoutStatus == 0 {
		return p.GiveKept(release)
	}
	p.Report.Release = release
	a := asker.NoContentAfter(p.Asker.Kept)
	a.Status = p.config.TimeoutStatus
	p.Asker.Memory.Kept()
	p.write(a)
	return nil
}

// GiveMessage ends the poll with a published message.
func (p *Poll) GiveMessage(event *lot.Event) error {
	p.Report.Release = answer.Message
	message := event.Event
	message.Position = p.Resume.Position.Merge(message.Position)
	return p.giveMessages([]brokers.Event{message})
}

// GiveMissed ends the poll with the messages that its client has missed. If these are no
// longer all known, the client gets the backend's answer, which says so, and from which
// position to go on.
func (p *Poll) GiveMissed(missed []brokers.Event) error {
	if p.Resume.Lost {
		return p.GiveAtOnce(answer.Lost)
	}
	p.Report.Release = answer.History
	return p.giveMessages(missed)
}

// giveMessages answers with one message, or with several if the client wants a batch.
func (p *Poll) giveMessages(events []brokers.Event) error {
	p.Report.Position = brokers.Position{} // that of the last message counts
	p.Asker.Gave(nil)
	p.Finish(p.Asker.Writer.Header())
	write := answer.WriteMessage
	if p.Resume.Batch {
		write = answer.WriteBatch
	}
	abortIfIncomplete(write(p.Asker.Writer, events, p.Asker.Kept.Header))
	return nil
}

func (p *Poll) write(a *ask.Answer) {
	header := p.Asker.Writer.Header()
	a.Apply(header)
	p.Finish(header)
	abortIfIncomplete(a.WriteTo(p.Asker.Writer))
}

// abortIfIncomplete aborts an answer that could not be sent whole, as reverse_proxy does,
// because over HTTP/3 a part of it would look complete. A body that the status or the
// declared length rules out is no such case.
func abortIfIncomplete(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		panic(http.ErrAbortHandler)
	}
}

// deny removes all that the answer would tell about events. The client keeps the position
// that it has.
func (p *Poll) deny() {
	p.Resume.Forget()
	p.Report.Position = brokers.Position{}
}

// NotHeld implements [asker.Client].
func (p *Poll) NotHeld(status int, why answer.Detail) {
	p.Report.Detail = why
	p.Asker.Gave(nil)
	p.debugNotHeld(status)
	if !asker.Admits(status) {
		p.deny()
	}
}

// Finish implements [asker.Client]: it adds parker's fields to the header of the client's
// answer, and puts the server's time limits in force again.
func (p *Poll) Finish(header http.Header) {
	p.Asker.Limits.Impose()
	p.AddFields(header)
	p.Asker.Memory.SetsCookies(header)
}

// AddFields adds parker's fields to the header of an answer.
func (p *Poll) AddFields(header http.Header) {
	p.Asker.Cookies.Give(header)
	answer.VaryByAccept(header)
	if p.IsLost() {
		p.Report.Lost, p.Report.Position = true, p.Resume.Start
	}
	p.Report.Put(header)
}
