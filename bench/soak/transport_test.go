package main

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// reconnecting sends a request again that was turned away at once while Caddy
// reloaded: see [turnedAway]. Each request of the soak can be sent twice without
// harm. What has been sent for longer must be answered.
type reconnecting struct {
	soak *soak
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t reconnecting) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	for {
		began := time.Now()
		answer, err = t.next.RoundTrip(r)
		reloaded := time.Since(time.Unix(0, t.soak.reloaded.Load())) < t.soak.allowed()
		if !turnedAway(err) || !reloaded || time.Since(began) > t.soak.allowed() {
			return answer, err
		}
		t.soak.again.Add(1)
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// turnedAway tells whether a request failed as it does at any server that closes its
// listener. Linux resets the connections that the listener has not accepted, though
// another listens at the same port. RFC 9114, section 5.2, has a request rejected
// that comes when the connection is being shut down.
func turnedAway(err error) bool {
	if rejected, ok := errors.AsType[*http3.Error](err); ok {
		return rejected.ErrorCode == http3.ErrCodeRequestRejected
	}
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}
