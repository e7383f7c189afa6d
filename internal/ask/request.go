// Package ask asks the backend: it sends one request through the rest of its
// route, as often as needed, and tells answers that are to be kept from those
// that stream on to the client.
//
// A route was made to be sent once. [Keep] notes all of a request that a walk
// changes and [Request.Send] puts it back before each, so that rewrites, route
// groups, variables and bodies are right each time.
package ask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddyinternals"
)

// ErrBodyTooLong says that a request's body is longer than may be kept.
var ErrBodyTooLong = errors.New("the request's body is too long to be kept")

// Request is a request that can be sent more than once. What it keeps for that, it
// keeps in lists: they cost less than the maps that Caddy and net/http have it in,
// and most requests are sent once.
type Request struct {
	request *http.Request
	saved   http.Request // but for the header, which is in fields
	url     url.URL
	fields  []field
	header  http.Header // made of fields when it is asked for
	body    []byte      // nil: there is none, and the request's own is at its end
	vars    []variable
	groups  []string

	placeholders []variable // that handlers further out have set
	sent         bool
	own          context.Context // the request's own, with the variables of the last ask
	ended        context.Context // own as the last ask left it; nil: there was none
}

// field is one of the request's header fields.
type field struct {
	name   string
	values []string
}

// variable is one of the request's variables.
type variable struct {
	name  string
	value any
}

// Keep notes the request as it is now. Its body is read to the end, which
// net/http also needs to notice a client that leaves. A body of more than
// maxBody bytes is [ErrBodyTooLong], and a broken one an error too; either way
// the request can still be sent on once.
func Keep(r *http.Request, maxBody int64) (*Request, error) {
	q := requests.Get().(*Request)
	q.request = r
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
		// The trailers have come with the body. With fields in them that frame a
		// message it could not be sent (RFC 9110, section 6.5.1).
		for _, name := range []string{"Content-Length", "Trailer", "Transfer-Encoding"} {
			delete(r.Trailer, name)
		}
		if len(body) == 0 && len(r.Trailer) == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			// HTTP/3 does not say that there is none. net/http would look for one again,
			// at each ask.
			r.Body, r.ContentLength, r.TransferEncoding, q.body = http.NoBody, 0, nil, nil
		}
	}
	q.saved, q.url = *r, *r.URL
	q.saved.Header = nil
	q.fields = slices.Grow(q.fields, len(r.Header))
	lines := make([]string, 0, len(r.Header))
	for name, values := range r.Header {
		first := len(lines)
		lines = append(lines, values...)
		q.fields = append(q.fields, field{name, lines[first:len(lines):len(lines)]})
	}
	q.own = r.Context()
	vars, groups := routeState(q.own)
	q.vars = slices.Grow(q.vars, len(vars))
	for name, value := range vars {
		q.vars = append(q.vars, variable{name, value})
	}
	for group := range groups {
		q.groups = append(q.groups, group)
	}
	if replacer, ok := q.own.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		q.placeholders = placeholdersOf(replacer, q.placeholders)
	}
	return q, nil
}

// requests are those that were discarded: empty, but for room in their lists.
var requests = sync.Pool{New: func() any { return new(Request) }}

// Discard lets the memory be used again of a request that was sent once, which is
// most of what such a request takes. It must not be used any more.
func (q *Request) Discard() {
	if q.header != nil {
		return // what it was made of is in use
	}
	clear(q.fields)
	clear(q.vars)
	clear(q.placeholders)
	*q = Request{fields: q.fields[:0], vars: q.vars[:0], placeholders: q.placeholders[:0]}
	requests.Put(q)
}

// routeState is what Caddy keeps about a request's way, besides the request.
func routeState(ctx context.Context) (vars map[string]any, groups map[string]struct{}) {
	vars, _ = ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	return vars, caddyinternals.RouteGroups(ctx)
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

// Header is the request's header as each ask begins with it. What is changed in
// it, counts for the asks to come.
func (q *Request) Header() http.Header {
	if q.header == nil {
		q.header = make(http.Header, len(q.fields))
		for _, f := range q.fields {
			q.header[f.name] = f.values
		}
		q.fields = nil
	}
	return q.header
}

// Fields yields the fields of the header, in no order.
func (q *Request) Fields(yield func(name string, lines []string) bool) {
	for name, lines := range q.header {
		if !yield(name, lines) {
			return
		}
	}
	for _, f := range q.fields {
		if !yield(f.name, f.values) {
			return
		}
	}
}

// Field is the lines of one field of the header.
func (q *Request) Field(name string) []string {
	if q.header != nil {
		return q.header[name]
	}
	for _, f := range q.fields {
		if f.name == name {
			return f.values
		}
	}
	return nil
}

// Variables yields the variables as each ask begins with them, in no order.
func (q *Request) Variables(yield func(name string, value any) bool) {
	for _, v := range q.vars {
		if !yield(v.name, v.value) {
			return
		}
	}
}

// Placeholders yields those that handlers further out have set, as each ask begins
// with them, in no order.
func (q *Request) Placeholders(yield func(name string, value any) bool) {
	for _, p := range q.placeholders {
		if !yield(p.name, p.value) {
			return
		}
	}
}

// Body is the request's body, or nil.
func (q *Request) Body() []byte { return q.body }

// Size returns how many bytes its header and body take.
func (q *Request) Size() int64 {
	size := int64(len(q.body)) + sizeOf(q.header)
	for _, f := range q.fields {
		size += sizeOfField(f.name, f.values)
	}
	return size
}

// Restore makes the request what it was before the first ask. It does so in
// place, as Caddy's placeholders are bound to the very pointers. The variables
// alone come in a new map: a connection to the backend may still be dialled for
// the ask before, though that has ended, and reads them.
func (q *Request) Restore() {
	*q.request = q.saved
	*q.request.URL = q.url
	q.request.Header = q.Header().Clone()
	vars := make(map[string]any, len(q.vars))
	for _, v := range q.vars {
		vars[v.name] = v.value
	}
	q.own = context.WithValue(q.saved.Context(), caddyhttp.VarsCtxKey, vars)
	*q.request = *q.request.WithContext(q.own)
	_, groups := routeState(q.own)
	clear(groups)
	for _, group := range q.groups {
		groups[group] = struct{}{}
	}
	if replacer, ok := q.own.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		q.restorePlaceholders(replacer)
	}
}

// Anew is the request as the server had it, but for its header and body, which are
// as [Keep] found them. It is another request, with ctx.
func (q *Request) Anew(ctx context.Context) *http.Request {
	r := q.saved.WithContext(ctx)
	original := q.saved.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	url := *original.URL
	r.Method, r.URL, r.RequestURI = original.Method, &url, original.RequestURI
	r.Header = q.Header().Clone()
	r.Body = http.NoBody
	if q.body != nil {
		r.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	return r
}

// begin readies the request for an ask under ctx.
func (q *Request) begin(ctx context.Context) {
	if q.sent {
		q.Restore()
		vars, _ := routeState(q.own)
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, vars)
	}
	q.sent = true
	if q.body != nil {
		q.request.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	*q.request = *q.request.WithContext(ctx)
}

// end gives the request its own context back: Caddy goes on with it, in error
// routes for one.
func (q *Request) end() {
	q.ended = q.own
	*q.request = *q.request.WithContext(q.own)
}

// Finish leaves the request with the variables that its last ask set: handlers
// further out and the access log go by them.
func (q *Request) Finish() {
	if q.ended != nil {
		*q.request = *q.request.WithContext(q.ended)
	}
}
