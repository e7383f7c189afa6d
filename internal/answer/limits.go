package answer

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Limits are the server's time limits on one request. They count what a client
// or a backend makes the server wait; while parker itself makes the client wait,
// they are lifted.
type Limits struct {
	controller  *http.ResponseController
	reader      *caddyhttp.IdleTimeoutReader
	writer      *caddyhttp.IdleTimeoutWriter
	writeWithin time.Duration // the server's write_timeout, where no writer keeps it

	liftedAt time.Time // zero: they are in force
	hard     time.Time // the writer's hard deadline when they were lifted
}

// LimitsOf are the limits on a request and its answer.
func LimitsOf(w http.ResponseWriter, r *http.Request) Limits {
	l := Limits{controller: http.NewResponseController(w)}
	l.reader, l.writer = caddyhttp.IdleTimeoutsFromContext(r.Context())
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && l.writer == nil {
		l.writeWithin = time.Duration(server.WriteTimeout)
	}
	return l
}

// Lift takes the limits away, if they are in force. To clear the deadlines is not
// enough: Caddy's idle reader and writer set the hard ones anew.
func (l *Limits) Lift() {
	if !l.liftedAt.IsZero() {
		return
	}
	l.liftedAt = time.Now()
	if l.reader != nil {
		l.reader.Deadline.HardDeadline = time.Time{}
	}
	if l.writer != nil {
		l.hard, l.writer.Deadline.HardDeadline = l.writer.Deadline.HardDeadline, time.Time{}
	}
	// A connection that knows no deadlines has none to clear.
	_ = l.controller.SetReadDeadline(time.Time{})
	_ = l.controller.SetWriteDeadline(time.Time{})
}

// Impose puts the limits on writing in force again, as if no time had passed in
// between. The request has been read.
func (l *Limits) Impose() {
	if l.liftedAt.IsZero() {
		return
	}
	lifted := time.Since(l.liftedAt)
	l.liftedAt = time.Time{}
	switch {
	case l.writer != nil:
		if !l.hard.IsZero() {
			l.writer.Deadline.HardDeadline = l.hard.Add(lifted)
		}
		l.writer.Override(l.writer.Deadline.Timeout, l.writer.Deadline.MinRate, 0)
	case l.writeWithin > 0:
		_ = l.controller.SetWriteDeadline(time.Now().Add(l.writeWithin))
	}
}
