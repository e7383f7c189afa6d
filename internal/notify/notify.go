// Package notify observes requests on their way to the backend: whether a write
// succeeded, and which channels the answer names in its Parker-Publish field.
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

// lingering is how long the backend may continue with a write after its client has
// left.
const lingering = 30 * time.Second

// Attend is called before the header of an answer is sent. It returns the writer to use
// for the answer, or nil to keep the one before. See [response.Attend].
type Attend func(w http.ResponseWriter, r *http.Request, status int) *response.Writer

// Pass forwards a request. When the route has finished, it calls announce with the
// channels that the answer named in its Parker-Publish field, if any. attend may be nil.
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

// PassWrite forwards a request that may be a write. It calls done before the client can
// have received the whole answer, if wrote returns true for the status of the answer.
// The backend is not stopped when the client leaves, so that its answer is known. If the
// backend takes too long after that, or if the answer only says that the client's
// connection was closed, it is not known whether the write succeeded. Then done is
// called too, because a needless wake-up does no harm.
func PassWrite(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, wrote func(status int) bool, done func(), announce func(channels []string)) error {
	client := r.Context()
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	defer cancel()
	defer context.AfterFunc(client, func() {
		left := time.AfterFunc(lingering, cancel)
		context.AfterFunc(ctx, func() { left.Stop() })
	})()

	// The request is changed in place, because Caddy's placeholders refer to the pointer.
	*r = *r.WithContext(ctx)
	defer func() { *r = *r.WithContext(client) }()

	o := newObserver(w)
	o.lingers = true
	failed := true // stays true if the route panics
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

// observer passes an answer through and records its status and the channels that it
// names.
type observer struct {
	*caddyhttp.ResponseWriterWrapper
	status    int
	announced []string
	lingers   bool // write errors are hidden from the route, so that it finishes its answer
	gone      bool // the client has left

	attend   Attend
	request  *http.Request
	attended *response.Writer // the writer that attend returned, or nil
}

func newObserver(w http.ResponseWriter) *observer {
	return &observer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

func (o *observer) WriteHeader(status int) {
	if o.status == 0 {
		if status >= 200 || status == http.StatusSwitchingProtocols {
			o.status = status
		}
		// Clients must not see the field in informational answers either.
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

// FlushError flushes the answer, unless the client has left.
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

// ReadFrom copies with Write if the copy must continue without the client, otherwise
// with the ReadFrom of the client's writer, which may be faster.
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
