package asker

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/response"
)

// Patience limits how long the answers to polls and those on streams may take.
type Patience struct{ poll, stream *delay.Queue }

// streamPatience is long, because an answer that becomes an event must be complete.
const streamPatience = 10 * time.Second

// NewPatience returns the limits of a handler whose polls wait for the rest of an answer
// for the given time.
func NewPatience(poll time.Duration) Patience {
	return Patience{poll: delay.New(poll), stream: delay.New(streamPatience)}
}

// Patience implements [ask.Observer].
func (t *attempt) Patience() ask.Patience {
	config := t.asker.config
	if t.asker.Streams {
		return ask.Patience{Bytes: config.MaxEvent(), Time: config.Patience.stream}
	}
	return ask.Patience{Bytes: config.MaxBody, Time: config.Patience.poll}
}

// Header implements [ask.Observer].
func (t *attempt) Header(_ int, header http.Header) {
	t.answered()
	if channels, ok := response.TakeChannels(header); ok {
		t.announced = channels
	}
}

// Keep implements [ask.Observer]. An answer that is news is also kept whole if others wait
// for it.
func (t *attempt) Keep(status int, header http.Header, start []byte) bool {
	a := t.asker
	if t.inner {
		return false
	}
	if t.cut(status, header) {
		return true
	}
	if a.Streams {
		return !eventstream.Is(header)
	}
	if t.again && isUnavailable(status) || a.config.Rules.Possible(status, header, start) || t.ask != nil && !t.ask.Alone() {
		return true
	}
	a.look(status, header, start)
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	t.long = err == nil && length > a.config.MaxBody
	return false
}

// cut reports whether reverse_proxy answers as for a client that has left, though nothing
// has ended the ask. The client of the answer before may have closed the connection to the
// backend, if that answer had no body (seen with net/http of Go 1.26).
func (t *attempt) cut(status int, header http.Header) bool {
	return caddyinternals.Canceled(status, header) && t.ctx.Err() == nil
}

// wasCut reports whether this is the result of the ask.
func (t *attempt) wasCut(r *ask.Result) bool {
	if r.Answer != nil {
		return t.cut(r.Answer.Status, r.Answer.Header)
	}
	handlerErr, ok := errors.AsType[caddyhttp.HandlerError](r.Err)
	return ok && t.cut(handlerErr.StatusCode, nil)
}

// overlap leaves the request to a handler further in that holds it. This one lets the
// answer pass.
func (t *attempt) overlap() {
	t.inner = true
	t.asker.overlapped = true
	t.answered()
	t.unhold()
	t.finish(coalesce.Alone)
}

// Stream implements [ask.Observer]. An answer that streams belongs to this client alone,
// and ends the request.
func (t *attempt) Stream(status int, why ask.Reason) bool {
	a := t.asker
	if t.inner {
		return !t.elsewhere
	}
	if t.ctx.Err() != nil {
		return false // the ask was canceled, so this is the 499 of reverse_proxy
	}
	if t.again && isUnavailable(status) {
		return false
	}
	if t.again && a.Streams {
		t.unfit = true
		t.cancel() // it might never end
		return false
	}
	if t.holding {
		if !a.space.Waiter.Leave() {
			return false
		}
		t.holding = false
	}
	if t.ask != nil && !t.ask.Finish(coalesce.Alone) && t.leads.Served() != nil {
		t.cancel() // another's answer has come first
		return false
	}
	t.ask = nil
	a.wakeOthers()
	a.client.NotHeld(status, t.detail(status, why))
	return true
}

// detail returns why a request is not held if its answer streams.
func (t *attempt) detail(status int, why ask.Reason) answer.Detail {
	switch {
	case !Admits(status):
		return answer.Status
	case t.long || why == ask.TooLong:
		return answer.Length
	case why == ask.TooSlow:
		return answer.Slow
	}
	return answer.News
}

// Attend implements [ask.Observer].
func (t *attempt) Attend(client http.ResponseWriter, status int) *response.Live {
	a := t.asker
	if t.inner {
		return nil // the handler further in does it
	}
	a.client.Finish(client.Header())
	writer := response.Attend(client, a.HTTP, &a.Limits, status, a.config.Heartbeat())
	if writer != nil {
		t.unstop = context.AfterFunc(a.config.Hub.Stopping, func() { writer.Stop(t.cancel) })
	}
	return writer
}
