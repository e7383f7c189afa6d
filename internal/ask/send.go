package ask

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/response"
)

// Patience is the limit on an answer that is held back. Beyond it the answer streams.
type Patience struct {
	// Bytes is the maximum length of the body.
	Bytes int64

	// Time is the time that the answer may take to end, after its header.
	Time *delay.Queue
}

// Observer decides what becomes of the answer to one ask. Its methods are called one at a
// time, in the goroutine of the route or, while the route writes nothing, in another.
type Observer interface {
	// Patience is called once, before the other methods.
	Patience() Patience

	// Header is called once, with the final header of the answer, which it may change. It
	// is not called if the route ends without an answer.
	Header(status int, header http.Header)

	// Keep reports whether an answer that starts like this should be kept. If not, or if
	// the answer exceeds Patience, it streams.
	Keep(status int, header http.Header, start []byte) bool

	// Stream is called once, before an answer streams to the client. If it returns false,
	// the answer is dropped instead.
	Stream(status int, why Reason) bool

	// Attend is called before an answer streams. The header is in the client's writer, and
	// Attend may change it. If Attend returns a writer, the answer is written to that in
	// place of client. See [response.Attend].
	Attend(client http.ResponseWriter, status int) *response.Live
}

// Reason is why an answer streams.
type Reason uint8

const (
	Unkept  Reason = iota // the observer does not keep it
	TooLong               // it is longer than may be kept
	TooSlow               // it takes too long to end
)

// Result is the result of an ask.
type Result struct {
	// Answer is the answer that was kept. It is nil if the answer streamed or was dropped,
	// or if there was none because of Err.
	Answer *Answer

	// Streamed is true if the answer went to the client.
	Streamed bool

	// Err is the error of the handlers, for which Caddy makes an answer. Prepared has the
	// header fields that they have set for that, without a status. It is nil if there is
	// no error, or if they had begun an answer of their own.
	Err      error
	Prepared *Answer

	// Aborted is true if the route has aborted the answer. If the answer was being kept,
	// Answer has the part that came.
	Aborted bool
}

// Send sends the request through next once. It writes to w only if the answer streams, or
// is informational.
func (q *Request) Send(ctx context.Context, w http.ResponseWriter, next caddyhttp.Handler, observer Observer) (result Result) {
	q.begin(ctx)
	defer q.end()
	c := newCapture(w, observer)
	defer c.end()
	var err error
	defer func() {
		// Handlers abort an answer with [http.ErrAbortHandler].
		reason := recover()
		if reason != nil && reason != http.ErrAbortHandler {
			panic(reason)
		}
		result = c.finish(err, reason != nil)
	}()
	err = next.ServeHTTP(c, q.request)
	return result
}
