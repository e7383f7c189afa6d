package ask

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/response"
)

// Patience says how much of an answer, and for how long, is waited for before it
// streams.
type Patience struct {
	// Bytes is how long the body may be to be kept.
	Bytes int64

	// Time is how long after its header the answer may take to end.
	Time *delay.Queue
}

// Observer says what becomes of the answer of one ask. Its methods
// are called one at a time, on the goroutine of the route or, for an answer that
// is silent, on another.
type Observer interface {
	// Patience is called once, before the observer.
	Patience() Patience

	// Header is called with the answer's header when it is there, once, and
	// never while it is still informational. It may change the header. It is
	// not called for a route that ends without an answer.
	Header(status int, header http.Header)

	// Keep reports whether an answer that starts like this is still to be kept.
	// If not, or if the answer is too long or takes too long to end, it streams.
	Keep(status int, header http.Header, start []byte) bool

	// Stream is called once, before an answer streams to the client, and why. False
	// drops the answer instead.
	Stream(status int, why Reason) bool

	// Attend readies an answer that streams, whose header is in the client's writer
	// and may be changed there. It takes care of the rest, if that needs any: what it
	// returns is written to in place of client, unless it is nil.
	Attend(client http.ResponseWriter, status int) *response.Writer
}

// Reason is why an answer streams.
type Reason uint8

const (
	Unkept  Reason = iota // [Observer] does not keep it
	TooLong               // it is longer than may be kept
	TooSlow               // it takes too long to end
)

// Result is how an ask ended.
type Result struct {
	// Answer is what was kept, or nil: it streamed, was dropped, or there was
	// none because of Err.
	Answer *Answer

	// Streamed says that the answer went to the client.
	Streamed bool

	// Err is the handlers' error, which Caddy makes an answer of. Prepared holds
	// the fields that they had set for it, and no status, where no answer of
	// their own had begun; else it is nil.
	Err      error
	Prepared *Answer

	// Aborted says that the route broke off in the midst of the answer. What
	// there was of it is in Answer, if it was being kept.
	Aborted bool
}

// Send sends the request through next once. Only where the answer streams, w is
// written to.
func (q *Request) Send(ctx context.Context, w http.ResponseWriter, next caddyhttp.Handler, observer Observer) (result Result) {
	q.begin(ctx)
	defer q.end()
	c := newCapture(w, observer)
	defer c.end()
	var err error
	defer func() {
		// Handlers break off an answer with [http.ErrAbortHandler].
		reason := recover()
		if reason != nil && reason != http.ErrAbortHandler {
			panic(reason)
		}
		result = c.finish(err, reason != nil)
	}()
	err = next.ServeHTTP(c, q.request)
	return result
}
