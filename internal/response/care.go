package response

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
)

// care is what an answer needs on its way to the client.
type care struct {
	stream    bool          // it is an event stream
	heartbeat time.Duration // the silence after which a comment is sent; 0: no comments
}

// careFor returns what an answer needs. needed is false if it needs nothing: it is neither
// an event stream nor an answer of unknown length from a backend.
func careFor(method string, status int, header http.Header, heartbeat time.Duration) (c care, needed bool) {
	if !hasBody(method, status) {
		return care{}, false
	}
	c.stream = status < 300 && eventstream.Is(header)
	if c.stream && !isExact(header) {
		c.heartbeat = heartbeat
	}
	return c, c.stream || header.Get("Content-Length") == "" && isProxied(header)
}

// isProxied reports whether an answer comes from a backend (RFC 9110, 7.6.3). The answers
// of Caddy's own handlers are complete at once, and their length is soon known.
func isProxied(header http.Header) bool { return len(header["Via"]) > 0 }

// hasBody reports whether an answer has a body (RFC 9110, 6.4.1). The bytes of a tunnel
// are none.
func hasBody(method string, status int) bool {
	return method != http.MethodHead && method != http.MethodConnect &&
		status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// exact are fields of answers whose bytes must not be changed. Trailer is one of them
// because HTTP/2 reads the values of the fields that it names with each write, and the
// route may be setting them at the same time.
var exact = []string{"Content-Digest", "Content-Range", "Repr-Digest", "Trailer"}

// isExact reports whether nothing can be inserted into the body of an answer.
func isExact(header http.Header) bool {
	return slices.ContainsFunc(exact, func(name string) bool { return len(header[name]) > 0 }) ||
		slices.ContainsFunc(field.List(header["Content-Encoding"]), isCoding)
}

// isCoding returns false for the two names with which backends say that the body is not
// encoded, mostly to keep a server from compressing it.
func isCoding(coding string) bool {
	return !strings.EqualFold(coding, "identity") && !strings.EqualFold(coding, "none")
}

// put changes the header of the answer for the servers between here and the client.
func (c care) put(header http.Header) {
	header.Set("X-Accel-Buffering", "no")
	if c.stream {
		forbidTransforming(header)
	}
	if c.heartbeat > 0 {
		header.Del("Content-Length")
	}
}

// forbidTransforming adds no-transform to the Cache-Control field (RFC 9111, 5.2.2.6),
// because compression would delay events.
func forbidTransforming(header http.Header) {
	const directive = "no-transform"
	lines := slices.DeleteFunc(slices.Clone(header["Cache-Control"]), func(line string) bool { return line == "" })
	if !slices.ContainsFunc(field.List(lines), func(d string) bool { return strings.EqualFold(d, directive) }) {
		header["Cache-Control"] = []string{strings.Join(append(lines, directive), ", ")}
	}
}
