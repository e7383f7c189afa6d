package load

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// Fresh returns a transport with a new connection for each request.
func Fresh() *http.Transport { return &http.Transport{DisableKeepAlives: true} }

// Reload runs reload. Requests that Caddy turns away during it are sent again.
func (l *Load) Reload(reload func()) {
	l.reloaded.Store(time.Now().UnixNano())
	reload()
	l.reloaded.Store(time.Now().UnixNano())
}

// again sends a request again that was turned away while Caddy reloaded. Each request of
// a load can be sent twice without harm. A request that has taken longer, or has reached
// the backend, must be answered.
type again struct {
	load *Load
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t again) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	for {
		began := time.Now()
		answer, err = t.next.RoundTrip(r)
		if errors.Is(err, context.Canceled) && r.Context().Err() == nil {
			continue // another client has left while it opened the connection for both
		}
		reloaded := time.Since(time.Unix(0, t.load.reloaded.Load())) < t.load.allowed()
		if !turnedAway(err) || !reloaded || time.Since(began) > t.load.allowed() || t.load.Board.reached(r) {
			return answer, err
		}
		t.load.resent.Add(1)
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// turnedAway reports whether a request failed as it does at any server that closes its
// listener. Linux resets the connections that the listener has not accepted, though
// another listens at the same port. RFC 9114, section 5.2, makes a server reject a
// request that arrives while the connection is being shut down.
func turnedAway(err error) bool {
	if rejected, ok := errors.AsType[*http3.Error](err); ok {
		return rejected.ErrorCode == http3.ErrCodeRequestRejected
	}
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}
