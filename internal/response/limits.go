package response

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Limits are the server's time limits on one request. They are for the time that a client
// or a backend makes the server wait. While parker makes the client wait, they are lifted.
type Limits struct {
	client  http.ResponseWriter
	request *http.Request

	liftedAt time.Time // zero: the limits are in force
	hard     time.Time // the writer's hard deadline when they were lifted
}

// LimitsOf returns the limits on a request and its answer.
func LimitsOf(w http.ResponseWriter, r *http.Request) Limits {
	return Limits{client: w, request: r}
}

// OneWrite returns how long the client may take to accept a single write: at most the
// given time, and less if the operator's limits are shorter. It is the same whether or not
// the limits are lifted.
func (l *Limits) OneWrite(most time.Duration) time.Duration {
	if _, writer := caddyhttp.IdleTimeoutsFromContext(l.request.Context()); writer != nil && writer.Deadline.Timeout > 0 {
		most = min(most, writer.Deadline.Timeout)
	}
	if timeout := l.writeTimeout(); timeout > 0 {
		most = min(most, timeout)
	}
	return most
}

// writeTimeout returns the server's limit on whole answers, or 0 if there is none.
func (l *Limits) writeTimeout() time.Duration {
	server, ok := l.request.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return 0
	}
	return time.Duration(server.WriteTimeout)
}

// Lift removes the limits, if they are in force. Clearing the deadlines is not enough,
// because Caddy's idle reader and writer set the hard ones again.
func (l *Limits) Lift() {
	if !l.liftedAt.IsZero() {
		return
	}
	l.liftedAt = time.Now()
	// Errors are ignored: a connection that supports no deadlines has none to clear. The
	// read deadline is cleared through the idle reader, because its lock makes what
	// follows wait for a read of the body that is still running.
	controller := http.NewResponseController(l.client)
	_ = controller.SetReadDeadline(time.Time{})
	reader, writer := caddyhttp.IdleTimeoutsFromContext(l.request.Context())
	if reader != nil && !reader.Deadline.HardDeadline.IsZero() {
		reader.Deadline.HardDeadline = time.Time{}
		_ = controller.SetReadDeadline(time.Time{})
	}
	if writer != nil {
		l.hard, writer.Deadline.HardDeadline = writer.Deadline.HardDeadline, time.Time{}
	}
	_ = controller.SetWriteDeadline(time.Time{})
}

// Impose puts the limits on writing in force again, as if no time had passed since
// [Limits.Lift]. Those on reading are not needed any more: the request has been read.
func (l *Limits) Impose() {
	if l.liftedAt.IsZero() {
		return
	}
	lifted := time.Since(l.liftedAt)
	l.liftedAt = time.Time{}
	if _, writer := caddyhttp.IdleTimeoutsFromContext(l.request.Context()); writer != nil {
		if !l.hard.IsZero() {
			writer.Deadline.HardDeadline = l.hard.Add(lifted)
			writer.Ctrl = http.NewResponseController(&postponed{writer.ResponseWriter, writer.Ctrl, l.hard, writer.Deadline.HardDeadline})
		}
		writer.Override(writer.Deadline.Timeout, writer.Deadline.MinRate, 0)
		return
	}
	if timeout := l.writeTimeout(); timeout > 0 {
		_ = http.NewResponseController(l.client).SetWriteDeadline(time.Now().Add(timeout))
	}
}

// postponed replaces one write deadline by a later one. A timeouts handler further out
// restores the original deadline when it ends, but what is still buffered is sent after
// that.
type postponed struct {
	http.ResponseWriter
	controller *http.ResponseController
	from, to   time.Time
}

func (p *postponed) SetWriteDeadline(deadline time.Time) error {
	if deadline.Equal(p.from) {
		deadline = p.to
	}
	return p.controller.SetWriteDeadline(deadline)
}
