// Package notify passes on requests that are not held, and watches their answers: whether
// a write succeeded, and which channels the answer names in its Parker-Publish field.
package notify

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/response"
)

// lingering is how long the backend may continue with a write after its client has
// left.
const lingering = 30 * time.Second

// Watch says what is done with the answers to requests.
type Watch struct {
	// Announce is called with the channels that an answer has named in its Parker-Publish
	// field, when the route has finished. It is not called if there are none.
	Announce func(channels []string)

	// Attend may be nil. It is not used for writes.
	Attend response.Attendant

	// Position is added to the answers as Parker-Position, unless it is empty.
	Position string
}

// Pass forwards a request.
func (w Watch) Pass(client http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer := response.Pass(client, r, response.Options{Attend: w.Attend, Position: w.Position, TakeChannels: true})
	defer func() {
		answer.Close()
		w.announce(answer)
	}()
	return next.ServeHTTP(answer, r)
}

// PassWrite forwards a request that may be a write. It calls done before the client can
// have received the whole answer, if wrote returns true for the status of the answer.
// The backend is not stopped when the client leaves, so that its answer is known. If the
// backend takes too long after that, or if the answer only says that the client's
// connection was closed, it is not known whether the write succeeded. Then done is
// called too, because a needless wake-up does no harm.
func (w Watch) PassWrite(client http.ResponseWriter, r *http.Request, next caddyhttp.Handler, wrote func(status int) bool, done func()) error {
	own := r.Context()
	ctx, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(own), writeKey{}, true))
	defer cancel()
	defer context.AfterFunc(own, func() {
		left := time.AfterFunc(lingering, cancel)
		context.AfterFunc(ctx, func() { left.Stop() })
	})()

	// The request is changed in place, because Caddy's placeholders refer to the pointer.
	*r = *r.WithContext(ctx)
	defer func() { *r = *r.WithContext(own) }()

	answer := response.Pass(client, r, response.Options{Position: w.Position, TakeChannels: true, Linger: true})
	failed := true // stays true if the route panics
	defer func() {
		status := answer.Status()
		if status == 0 && !failed {
			status = http.StatusOK
		}
		if wrote(status) || ctx.Err() != nil || status == caddyinternals.StatusClientClosed {
			done()
		}
		w.announce(answer)
	}()
	err := next.ServeHTTP(answer, r)
	failed = err != nil
	return err
}

type writeKey struct{}

// IsWrite reports whether a handler further out publishes if the request succeeds.
func IsWrite(r *http.Request) bool { return r.Context().Value(writeKey{}) != nil }

func (w Watch) announce(answer *response.Passing) {
	if channels := answer.Channels(); len(channels) > 0 {
		w.Announce(channels)
	}
}
