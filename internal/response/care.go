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
	heartbeat time.Duration // after how much silence a comment is put in; 0: never
}

// careFor tells what an answer needs, and whether it needs anything: it is an
// event stream, or a backend's of unknown length.
func careFor(method string, status int, header http.Header, heartbeat time.Duration) (c care, needed bool) {
	if !hasBody(method, status) {
		return care{}, false
	}
	c.stream = status < 300 && isEventStream(header)
	if c.stream && !isExact(header) {
		c.heartbeat = heartbeat
	}
	return c, c.stream || header.Get("Content-Length") == "" && isProxied(header)
}

// isProxied reports whether an answer comes from a backend (RFC 9110, 7.6.3). What
// Caddy's own handlers answer is there at once, and its length soon known.
func isProxied(header http.Header) bool { return len(header["Via"]) > 0 }

// hasBody leaves out answers that have none (RFC 9110, 6.4.1), and tunnels, whose
// bytes are no answer.
func hasBody(method string, status int) bool {
	return method != http.MethodHead && method != http.MethodConnect &&
		status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func isEventStream(header http.Header) bool {
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), eventstream.MediaType)
}

// exact are the fields of answers whose bytes must stay as they are. Trailer is
// one of them as HTTP/2 looks, with each write, for the values of the fields that
// it names, while the route may be setting them.
var exact = []string{"Content-Digest", "Content-Range", "Repr-Digest", "Trailer"}

// isExact reports whether nothing can be put in between the bytes of an answer.
func isExact(header http.Header) bool {
	return slices.ContainsFunc(exact, func(name string) bool { return len(header[name]) > 0 }) ||
		slices.ContainsFunc(field.List(header["Content-Encoding"]), isCoding)
}

// isCoding knows the two names that backends give to no coding at all, mostly to
// keep a server from compressing.
func isCoding(coding string) bool {
	return !strings.EqualFold(coding, "identity") && !strings.EqualFold(coding, "none")
}

// put changes the header of the answer for the servers between here and the
// client.
func (c care) put(header http.Header) {
	header.Set("X-Accel-Buffering", "no")
	if c.stream {
		forbidTransforming(header)
	}
	if c.heartbeat > 0 {
		header.Del("Content-Length")
	}
}

// forbidTransforming adds no-transform to what the answer says of caches, for
// compressing would hold events back. RFC 9111, 5.2.2.6.
func forbidTransforming(header http.Header) {
	const directive = "no-transform"
	lines := slices.DeleteFunc(slices.Clone(header["Cache-Control"]), func(line string) bool { return line == "" })
	if !slices.ContainsFunc(field.List(lines), func(d string) bool { return strings.EqualFold(d, directive) }) {
		header["Cache-Control"] = []string{strings.Join(append(lines, directive), ", ")}
	}
}
