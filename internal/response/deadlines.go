package response

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// writeTimeout is how long the client may take to accept a single write, unless the
// operator has set a shorter limit. stopTimeout is the same when the server stops.
const (
	writeTimeout = 30 * time.Second
	stopTimeout  = time.Second
)

// deadlines are the time limits of a [Live]: those on the whole request are lifted, and
// each single write has its own.
type deadlines struct {
	limits  *Limits
	timeout time.Duration // of a single write
	restore func()        // puts the server's limits on single writes in force again; may be nil

	controller *http.ResponseController // of the client's writer
	connection *http.ResponseController // of the server's own writer; usable during a write
	route      time.Time                // the route's own deadline; zero: none

	stopping atomic.Bool
}

// begin lifts the limits.
func (d *deadlines) begin(client http.ResponseWriter, r *http.Request, limits *Limits) {
	d.limits = limits
	d.timeout = limits.OneWrite(writeTimeout)
	d.controller = http.NewResponseController(client)
	d.connection = d.controller
	limits.Lift()
	// This leaves only Caddy's limit on a single write. Its limit on the bytes per second
	// would end a stream that is silent.
	if _, writer := caddyhttp.IdleTimeoutsFromContext(r.Context()); writer != nil {
		d.restore = writer.Override(d.timeout, 0, 0)
		d.connection = writer.Ctrl
	}
}

// end puts the limits in force again.
func (d *deadlines) end() {
	if d.restore != nil {
		d.restore()
	}
	d.limits.Impose()
}

// set sets the route's own deadline.
func (d *deadlines) set(deadline time.Time) error {
	d.route = deadline
	return d.controller.SetWriteDeadline(deadline)
}

// keep calls write, which fails if it does not end in time. Errors of the deadlines are
// ignored: a writer that supports none has no time limit.
func (d *deadlines) keep(write func() error) error {
	deadline := time.Now().Add(d.perWrite())
	if !d.route.IsZero() && d.route.Before(deadline) {
		deadline = d.route
	}
	_ = d.controller.SetWriteDeadline(deadline)
	// A deadline that stays in force would reset an HTTP/2 stream in its next silence, and
	// end the next answer on an HTTP/1.1 connection.
	defer func() { _ = d.controller.SetWriteDeadline(d.route) }()
	return write()
}

// perWrite returns how long a write may take now.
func (d *deadlines) perWrite() time.Duration {
	if d.stopping.Load() {
		return min(d.timeout, stopTimeout)
	}
	return d.timeout
}
