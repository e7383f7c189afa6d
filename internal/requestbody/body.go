// Package requestbody reads the bodies of requests, within a limit, and leaves them whole
// for the handlers that come after.
package requestbody

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"
)

// ErrTooLong is the error of [Read] if the body is longer than the limit.
var ErrTooLong = errors.New("the request's body is too long")

// Read returns the body of a request, or nil if the request has none. The error is
// [ErrTooLong] if the body is longer than limit bytes, or the error of reading it. In any
// case r.Body can be read again from its start, with the same error at its end. The bytes
// must not be changed.
func Read(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, ErrTooLong
	}
	b, ok := r.Body.(*body)
	if !ok || b.next.Load() > 0 {
		b = &body{rest: r.Body}
		r.Body = b
	}
	b.fetch(limit)
	switch {
	case int64(len(b.start)) > limit:
		return nil, ErrTooLong
	case b.err != io.EOF:
		return nil, b.err
	}
	// The trailers have come with the body. Fields that frame a message are not allowed
	// there (RFC 9110, section 6.5.1), and the request could not be sent with them.
	for _, name := range []string{"Content-Length", "Trailer", "Transfer-Encoding"} {
		delete(r.Trailer, name)
	}
	return b.start, nil
}

// body is a body whose start has been read.
type body struct {
	start []byte        // what has been read
	err   error         // the error that followed it; nil if the body goes on in rest
	next  atomic.Int64  // how many bytes of start were read again
	rest  io.ReadCloser // the body itself
}

// fetch reads more of the body, until it has ended or is longer than limit.
func (b *body) fetch(limit int64) {
	missing := min(limit, math.MaxInt64-1) + 1 - int64(len(b.start))
	if b.err != nil || missing <= 0 {
		return
	}
	more, err := io.ReadAll(io.LimitReader(b.rest, missing))
	if err == nil && int64(len(more)) < missing {
		err = io.EOF
	}
	b.err = err
	if b.start == nil {
		b.start = more
	} else {
		b.start = append(b.start, more...)
	}
}

// Read reads the body from its start.
func (b *body) Read(p []byte) (int, error) {
	if next := int(b.next.Load()); next < len(b.start) {
		n := copy(p, b.start[next:])
		b.next.Add(int64(n))
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.rest.Read(p)
}

// Close closes the body itself.
func (b *body) Close() error { return b.rest.Close() }
