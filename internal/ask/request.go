// Package ask asks the backend: it sends a request through the rest of its route, as often
// as needed. An [Observer] decides whether an answer is kept or streams to the client.
//
// Routes expect each request once, and change it. [Keep] notes everything that they can
// change, and [Request.Send] restores it each time, so that rewrites, route groups,
// variables and bodies are right.
package ask

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/requestbody"
)

// Request is a request that can be sent more than once. What it keeps for that is in lists.
// They cost less than the maps of Caddy and net/http, and most requests are sent once.
type Request struct {
	request *http.Request
	saved   http.Request // without its header, which is in fields
	url     url.URL
	fields  []field
	header  http.Header // made from fields when it is needed
	body    []byte      // nil: none, or the request's own has ended
	vars    []variable
	groups  []string

	placeholders []variable // set by handlers further out
	sent         bool
	own          context.Context // the request's own, with the variables of the last ask
	ended        context.Context // own after the last ask; nil: none has ended
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

// Keep notes the request as it is now. It reads the body to the end, because net/http
// notices only then that a client leaves. The error is that of [requestbody.Read] with
// maxBody as its limit. After an error the request can still be forwarded once.
func Keep(r *http.Request, maxBody int64) (*Request, error) {
	body, err := requestbody.Read(r, maxBody)
	if err != nil {
		return nil, err
	}
	if body != nil && len(body) == 0 && len(r.Trailer) == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		// HTTP/3 does not say in advance that there is no body. net/http would look for one
		// at each ask.
		r.Body, r.ContentLength, r.TransferEncoding, body = http.NoBody, 0, nil, nil
	}
	q := requests.Get().(*Request)
	q.request, q.body = r, body
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

// requests holds requests that were discarded. They are empty, but their lists have room.
var requests = sync.Pool{New: func() any { return new(Request) }}

// Discard makes the memory of a request available to others, if it was sent only once. The
// request must not be used after that.
func (q *Request) Discard() {
	if q.header != nil {
		return // the header still uses it
	}
	clear(q.fields)
	clear(q.vars)
	clear(q.placeholders)
	*q = Request{fields: q.fields[:0], vars: q.vars[:0], placeholders: q.placeholders[:0]}
	requests.Put(q)
}

// routeState returns what Caddy notes about a request in its context.
func routeState(ctx context.Context) (vars map[string]any, groups map[string]struct{}) {
	vars, _ = ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	return vars, caddyinternals.RouteGroups(ctx)
}

// Header returns the header with which each ask begins. Changes to it are for all later
// asks.
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

// Fields yields the fields of the header in no particular order.
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

// Field returns the values of a field of the header.
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

// Variables yields the variables with which each ask begins, in no particular order.
func (q *Request) Variables(yield func(name string, value any) bool) {
	for _, v := range q.vars {
		if !yield(v.name, v.value) {
			return
		}
	}
}

// Placeholders yields the placeholders that handlers further out have set, with which each
// ask begins, in no particular order.
func (q *Request) Placeholders(yield func(name string, value any) bool) {
	for _, p := range q.placeholders {
		if !yield(p.name, p.value) {
			return
		}
	}
}

// Target returns the RequestURI and the query with which each ask begins.
func (q *Request) Target() (uri, query string) { return q.saved.RequestURI, q.url.RawQuery }

// Body returns the request's body, or nil.
func (q *Request) Body() []byte { return q.body }

// Size returns the size of the header and the body, in bytes.
func (q *Request) Size() int64 {
	size := int64(len(q.body)) + sizeOf(q.header)
	for _, f := range q.fields {
		size += sizeOfField(f.name, f.values)
	}
	return size
}

// Restore makes the request what it was before the first ask. It is changed in place,
// because Caddy's placeholders refer to the pointers. Only the variables get a new map: the
// last ask has ended, but a connection to the backend may still be opened for it, which
// reads its variables.
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

// Anew returns a new request with ctx: the request as it came to the server, with the
// header and the body that it had at [Keep].
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

// begin prepares the request for an ask with ctx.
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

// end gives the request its own context again, because Caddy continues with the request,
// for example in error routes.
func (q *Request) end() {
	q.ended = q.own
	*q.request = *q.request.WithContext(q.own)
}

// Finish gives the request the variables of the last ask, because handlers further out and
// the access log use them.
func (q *Request) Finish() {
	if q.ended != nil {
		*q.request = *q.request.WithContext(q.ended)
	}
}
