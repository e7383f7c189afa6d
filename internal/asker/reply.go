package asker

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
)

// Reply is the result of an ask.
type Reply struct {
	Kind Kind

	// Answer is the backend's answer for the client. If Kind is Broken or Failed, it is
	// the part that has arrived.
	Answer *ask.Answer

	// Err is the error of the handlers behind, if Kind is Failed.
	Err error
}

// Kind says what must be done about a [Reply].
type Kind uint8

// The kinds of replies.
const (
	NothingNew Kind = iota + 1 // the request may be parked
	Refused                    // a replay has failed: the request stays parked and tries again
	News                       // the client gets the answer
	Streamed                   // the client has got the answer
	Failed                     // the client gets the handlers' error
	Broken                     // the answer broke off, and the client's must break off as well
	Unfit                      // the answer cannot be an event on a stream
	TimedOut                   // the deadline has passed
	Left                       // the client has left

	retryNow // the answer that has come first does not match this request: ask again
)

// String implements [fmt.Stringer].
func (k Kind) String() string {
	return [...]string{
		NothingNew: "nothing new", Refused: "refused", News: "news", Streamed: "news, streamed", Failed: "failed", Broken: "broke off",
		Unfit: "unfit for a stream", TimedOut: "timeout", Left: "left", retryNow: "ask again",
	}[k]
}

// Unavailable reports whether the reply means that the backend cannot be reached for now.
func (r Reply) Unavailable() bool {
	switch r.Kind {
	case News:
		return isUnavailable(r.Answer.Status)
	case Failed:
		return isUnavailableError(r.Err)
	}
	return false
}

// isUnavailable reports whether a status is one of those with which a backend that
// restarts answers, or a proxy in front of it.
func isUnavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// isUnavailableError reports whether handlers failed because the backend is unavailable.
func isUnavailableError(err error) bool {
	handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err)
	return ok && isUnavailable(handlerErr.StatusCode)
}

// StatusOf returns the status with which Caddy answers a handler's error.
func StatusOf(err error) int {
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return handlerErr.StatusCode
	}
	return http.StatusInternalServerError
}

// Admits reports whether a status lets the client in. A client that is refused is not told
// of events.
func Admits(status int) bool { return status/100 == 2 || status == http.StatusNotModified }
