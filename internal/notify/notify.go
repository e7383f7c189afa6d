// Package notify sees writes on their way through the proxy: whether the backend
// answered them as done, and which channels its answer names.
package notify

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/response"
)

// lingering is how long a backend may go on with a write whose client has left.
const lingering = 30 * time.Second

// Attend takes care of an answer whose header is about to be sent, if it needs any:
// see [response.Attend].
type Attend func(w http.ResponseWriter, r *http.Request, status int) *response.Writer

// Pass sends a request on. It calls announce with the channels that the answer
// named in its Parker-Publish field, once the route is done with it. attend may be
// nil.
func Pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, attend Attend, announce func(channels []string)) error {
	o := newObserver(w)
	o.attend, o.request = attend, r
	defer func() {
		o.attended.Close()
		if len(o.announced) > 0 {
			announce(o.announced)
		}
	}()
	return next.ServeHTTP(o, r)
}

// PassWrite sends a request on that can be a write, and calls done before the
// client can have all of the answer, where wrote says that its status is that of
// a write that succeeded. A client that leaves does not stop the backend, so
// that what it has written is known; only one that takes too long is left, or whose
// connection is cut, and then nobody can tell: done is called too, as to be woken for
// nothing does no harm.
func PassWrite(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, wrote func(status int) bool, done func(), announce func(channels []string)) error {
	client := r.Context()
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	defer cancel()
	defer context.AfterFunc(client, func() {
		left := time.AfterFunc(lingering, cancel)
		context.AfterFunc(ctx, func() { left.Stop() })
	})()

	// In place, as Caddy's placeholders are bound to the pointer.
	*r = *r.WithContext(ctx)
	defer func() { *r = *r.WithContext(client) }()

	o := newObserver(w)
	o.lingers = true
	failed := true // a route that breaks off leaves it so
	defer func() {
		if o.status == 0 && !failed {
			o.status = http.StatusOK
		}
		if wrote(o.status) || ctx.Err() != nil || o.status == caddyinternals.StatusClientClosed {
			done()
		}
		if len(o.announced) > 0 {
			announce(o.announced)
		}
	}()
	err := next.ServeHTTP(o, r)
	failed = err != nil
	return err
}

// observer passes an answer through and notes what it says.
type observer struct {
	*caddyhttp.ResponseWriterWrapper
	status    int
	announced []string
	lingers   bool // the route is to finish its answer though the client is gone
	gone      bool

	attend   Attend
	request  *http.Request
	attended *response.Writer // the client's writer, while it needs care; else nil
}

func newObserver(w http.ResponseWriter) *observer {
	return &observer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

func (o *observer) WriteHeader(status int) {
	if o.status == 0 {
		if status >= 200 || status == http.StatusSwitchingProtocols {
			o.status = status
		}
		// Not in an informational answer either: clients never see it.
		header := o.Header()
		if lines, ok := header[http.CanonicalHeaderKey(answer.Publish)]; ok {
			o.announced = field.List(lines)
			header.Del(answer.Publish)
		}
		if o.status != 0 && o.attend != nil {
			if o.attended = o.attend(o.ResponseWriter, o.request, status); o.attended != nil {
				o.ResponseWriter = o.attended
			}
		}
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observer) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	if o.gone {
		return len(p), nil
	}
	n, err := o.ResponseWriter.Write(p)
	if err != nil && o.lingers {
		o.gone = true
		return len(p), nil
	}
	return n, err
}

// FlushError flushes what the client still takes.
func (o *observer) FlushError() error {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	if o.gone {
		return nil
	}
	err := http.NewResponseController(o.ResponseWriter).Flush()
	if err != nil && o.lingers {
		o.gone = true
		return nil
	}
	return err
}

// ReadFrom copies by Write where that has to go on without the client, else as
// fast as the client's writer can.
func (o *observer) ReadFrom(r io.Reader) (int64, error) {
	if o.lingers {
		return io.Copy(struct{ io.Writer }{o}, r)
	}
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	return o.ResponseWriterWrapper.ReadFrom(r)
}

// Interface guards
var (
	_ http.ResponseWriter = (*observer)(nil)
	_ io.ReaderFrom       = (*observer)(nil)
)
