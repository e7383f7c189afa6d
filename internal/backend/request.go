// Package backend asks the backend: it sends one request through the rest of its
// route, as often as needed, and tells answers that are to be kept from those
// that stream on to the client.
//
// A route was made to be walked once. [Keep] notes all of a request that a walk
// changes and [Request.Send] puts it back before each, so that rewrites, route
// groups, variables and bodies are right each time.
package backend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ErrBodyTooLong says that a request's body is longer than may be kept.
var ErrBodyTooLong = errors.New("the request's body is too long to be kept")

// routeGroup is where Caddy remembers which route groups a request has been
// through: a second walk would skip them.
const routeGroup caddy.CtxKey = "route_group"

// Request is a request that can be sent more than once.
type Request struct {
	request *http.Request
	saved   http.Request
	url     url.URL
	body    []byte // nil: there is none, and the request's own is at its end
	vars    []variable
	groups  []string
}

// variable is one of the request's variables. As a list they take less memory
// than as the map that Caddy has them in.
type variable struct {
	name  string
	value any
}

// Keep notes the request as it is now. Its body is read to the end, which
// net/http also needs to notice a client that leaves. A body of more than
// maxBody bytes is [ErrBodyTooLong], and a broken one an error too; either way
// the request can still be sent on once, by whoever holds it.
func Keep(r *http.Request, maxBody int64) (*Request, error) {
	q := &Request{request: r}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		if r.ContentLength > maxBody {
			return nil, ErrBodyTooLong
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err == nil && int64(len(body)) > maxBody {
			err = ErrBodyTooLong
		}
		if err != nil {
			r.Body = putBack(body, err, r.Body)
			return nil, err
		}
		q.body = body
	}
	q.saved, q.url = *r, *r.URL
	vars, groups := walked(r)
	q.vars = make([]variable, 0, len(vars))
	for name, value := range vars {
		q.vars = append(q.vars, variable{name, value})
	}
	for group := range groups {
		q.groups = append(q.groups, group)
	}
	return q, nil
}

// walked is what Caddy keeps about a request's way, besides the request.
func walked(r *http.Request) (vars map[string]any, groups map[string]struct{}) {
	vars, _ = r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	groups, _ = r.Context().Value(routeGroup).(map[string]struct{})
	return vars, groups
}

// putBack is the body of which a start has been read, and perhaps the error that
// ended it.
func putBack(start []byte, err error, rest io.ReadCloser) io.ReadCloser {
	var tail io.Reader = rest
	if !errors.Is(err, ErrBodyTooLong) {
		tail = failing{err}
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), tail), rest}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Header is the request's header as each walk begins with it.
func (q *Request) Header() http.Header { return q.saved.Header }

// Body is the request's body, or nil.
func (q *Request) Body() []byte { return q.body }

// Restore makes the request what it was before the first walk, and lets go of
// what the last one made of it. It does so in place, as Caddy's placeholders are
// bound to the very pointers.
func (q *Request) Restore() {
	r, u := q.request, q.request.URL
	*r = q.saved
	*u = q.url
	r.URL = u
	vars, groups := walked(r)
	clear(vars)
	for _, v := range q.vars {
		vars[v.name] = v.value
	}
	clear(groups)
	for _, group := range q.groups {
		groups[group] = struct{}{}
	}
}

// begin readies the request for a walk under ctx.
func (q *Request) begin(ctx context.Context) {
	q.Restore()
	q.request.Header = q.saved.Header.Clone()
	if q.body != nil {
		q.request.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	*q.request = *q.request.WithContext(ctx)
}

// end gives the request its own context back: Caddy goes on with it, in error
// routes for one.
func (q *Request) end() {
	*q.request = *q.request.WithContext(q.saved.Context())
}
