package poll

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
)

// statusClientClosed is what access logs show for a client that has left, as
// Caddy's reverse_proxy has it.
const statusClientClosed = 499

var errNoTurn = errors.New("the time of the poll was over before its turn at the backend came")

// Give ends the poll with what came of its last ask: news, or a failure that is
// passed on.
func (p *Poll) Give(r Reply) error {
	switch r.Kind {
	case Streamed:
		return r.Err
	case Left:
		p.client.WriteHeader(statusClientClosed)
		return nil
	case TimedOut:
		return p.giveTimeout()
	}
	if r.Answer != nil {
		p.write(r.Answer)
	} else {
		p.finish(p.client.Header())
	}
	if r.Kind == Broken {
		// The client is to see what there was of the answer, as it would without
		// parker: else it could take the request for one that never arrived.
		_ = http.NewResponseController(p.client).Flush()
		panic(http.ErrAbortHandler)
	}
	return r.Err
}

// GiveKept ends the poll with the nothing-new answer that the backend gave last.
func (p *Poll) GiveKept(release answer.Release) error {
	p.stamp.Release = release
	if p.kept == nil {
		p.finish(p.client.Header())
		return caddyhttp.Error(http.StatusServiceUnavailable, errNoTurn)
	}
	p.write(p.kept)
	return nil
}

func (p *Poll) giveTimeout() error {
	release := answer.Timeout
	if !p.retry.IsZero() {
		release = answer.Error
	}
	if p.line.TimeoutStatus == 0 {
		return p.GiveKept(release)
	}
	p.stamp.Release = release
	p.write(&backend.Answer{Status: p.line.TimeoutStatus, Header: http.Header{"Cache-Control": {"no-store"}}})
	return nil
}

// GiveMessage ends the poll with a published message.
func (p *Poll) GiveMessage(event *brokers.Event) error {
	p.stamp.Release = answer.Message
	p.finish(p.client.Header())
	written(answer.WriteMessage(p.client, event, p.kept.Header))
	return nil
}

// Released says why the poll was let go, should its next ask bring news.
func (p *Poll) Released(why answer.Release) { p.stamp.Release = why }

func (p *Poll) write(a *backend.Answer) {
	header := p.client.Header()
	a.Apply(header)
	p.finish(header)
	written(a.WriteTo(p.client))
}

// written breaks an answer off of which the client could not be sent all, as
// reverse_proxy does: HTTP/3 would pass for whole what there is of it. A body that
// the status or the declared length rules out is no such case.
func written(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		panic(http.ErrAbortHandler)
	}
}

// finish readies the client's answer to be written: it adds what parker has to
// say to its header, and has the server's time limits count again.
func (p *Poll) finish(header http.Header) {
	p.limits.Impose()
	p.cookies.Give(header)
	p.stamp.Put(header)
}
