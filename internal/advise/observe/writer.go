package observe

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/response"
)

// writer passes an answer on as it comes, and copies its body if it could be that of a poll.
type writer struct {
	caddyhttp.ResponseWriterWrapper
	*exchange

	status int  // 0: no final header yet
	copies bool // the body is copied
	ended  bool // the exchange is handed over
}

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	w.ResponseWriterWrapper.WriteHeader(status)
	if w.status != 0 || !response.IsFinal(status) {
		return
	}
	w.status = status
	header := w.Header()
	w.copies = w.wants(header)
	if status == http.StatusSwitchingProtocols || strings.HasPrefix(header.Get("Content-Type"), eventstream.MediaType) {
		w.copies, w.ended = false, true // it may never end
		w.hand(status, header)
	}
}

// Write implements [http.ResponseWriter].
func (w *writer) Write(b []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriterWrapper.Write(b)
	if w.copies {
		w.copy(b[:n])
	}
	w.Sent += int64(n)
	return n, err
}

// ReadFrom copies with the ReadFrom of the client's writer, which may be faster than Write,
// unless the body is copied.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	if w.copies {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	n, err := w.ResponseWriterWrapper.ReadFrom(r)
	w.Sent += n
	return n, err
}

// FlushError sends what is buffered.
func (w *writer) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// begin notes that the route has begun an answer without a status.
func (w *writer) begin() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// copy copies a part of the body. A body that is too long is not of a poll that parker holds.
func (w *writer) copy(b []byte) {
	if len(w.body)+len(b) > maxBody {
		w.release()
		w.copies = false
		return
	}
	if w.body == nil {
		w.body = buffers.Get().(*buffer).bytes[:0]
	}
	w.body = append(w.body, b...)
}

// end hands the exchange over when the answer has ended.
func (w *writer) end() {
	w.ended = true
	if w.copies {
		w.known = w.complete
	}
	w.Took = time.Since(w.Begun)
	w.hand(w.status, w.Header())
}

// wants reports whether the body of an answer with this header could be that of a poll.
func (w *writer) wants(header http.Header) bool {
	if w.partial {
		return false
	}
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil && length > maxBody {
		return false
	}
	mediaType, _, _ := strings.Cut(strings.ToLower(header.Get("Content-Type")), ";")
	mediaType = strings.TrimSpace(mediaType)
	kind, subtype, _ := strings.Cut(mediaType, "/")
	switch {
	case strings.HasSuffix(subtype, "javascript"):
		return w.query // JSONP names its function there
	case kind == "image" || kind == "video" || kind == "audio" || kind == "font" || mediaType == "text/css":
		return false
	case kind == "application":
		return strings.HasSuffix(subtype, "json") || strings.HasSuffix(subtype, "xml") || strings.HasSuffix(subtype, "urlencoded")
	}
	return true
}

// Interface guards
var (
	_ http.ResponseWriter = (*writer)(nil)
	_ io.ReaderFrom       = (*writer)(nil)
)
