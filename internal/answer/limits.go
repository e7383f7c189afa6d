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
	client  http.ResponseWriter
	request *http.Request

	liftedAt time.Time // zero: they are in force
	hard     time.Time // the writer's hard deadline when they were lifted
}

// LimitsOf are the limits on a request and its answer.
func LimitsOf(w http.ResponseWriter, r *http.Request) Limits {
	return Limits{client: w, request: r}
}

// Lift takes the limits away, if they are in force. To clear the deadlines is not
// enough: Caddy's idle reader and writer set the hard ones anew.
func (l *Limits) Lift() {
	if !l.liftedAt.IsZero() {
		return
	}
	l.liftedAt = time.Now()
	reader, writer := caddyhttp.IdleTimeoutsFromContext(l.request.Context())
	if reader != nil {
		reader.Deadline.HardDeadline = time.Time{}
	}
	if writer != nil {
		l.hard, writer.Deadline.HardDeadline = writer.Deadline.HardDeadline, time.Time{}
	}
	// A connection that knows no deadlines has none to clear.
	controller := http.NewResponseController(l.client)
	_ = controller.SetReadDeadline(time.Time{})
	_ = controller.SetWriteDeadline(time.Time{})
}

// Impose puts the limits on writing in force again, as if no time had passed in
// between. The request has been read.
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
	server, ok := l.request.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if ok && server.WriteTimeout > 0 {
		_ = http.NewResponseController(l.client).SetWriteDeadline(time.Now().Add(time.Duration(server.WriteTimeout)))
	}
}

// postponed sets another write deadline where it is told to set the one that has
// been postponed: a timeouts handler further out puts that back when it ends, and
// what is still buffered is sent after that.
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
