package observe

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/response"
)

// writer passes an answer on as it comes, and copies its body if it could be that of a poll.
//
// It makes no call that the route does not make: a wrapper further out may take a status that
// the route has not written for the answer's own, or flush what it would have kept.
type writer struct {
	caddyhttp.ResponseWriterWrapper
	exchange *exchange
	sent     *body // of the request, or nil

	status int         // 0: no final header yet
	header http.Header // as soon as there is a status
	passed int64       // bytes of the answer's body
	copies bool        // the body is copied
	failed bool        // a part of the body did not reach the client

	// over is set when the exchange was handed over and must not be used any more. Then other
	// goroutines may write at the same time, as those of a tunnel do.
	over bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	if !w.over && w.status == 0 && response.IsFinal(status) {
		w.begin(status)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// begin notes that the answer begins. It is called before the client's writer knows it:
// net/http copies a header that is asked for later, and an encoder further out changes it.
func (w *writer) begin(status int) {
	header := w.Header()
	w.status, w.header = status, header
	w.exchange.coding = slices.Clone(header["Content-Encoding"])
	if isTunnel(w.exchange.Method, status) || eventstream.Is(header) {
		w.hand(false) // it may never end
		return
	}
	w.copies = w.exchange.wants(header)
}

// isTunnel reports whether an answer begins a tunnel. Extended CONNECT does it for WebSocket
// on HTTP/2 and 3 (RFC 8441).
func isTunnel(method string, status int) bool {
	return status == http.StatusSwitchingProtocols || method == http.MethodConnect && status < 300
}

// Write implements [http.ResponseWriter].
func (w *writer) Write(p []byte) (int, error) {
	if w.over {
		return w.ResponseWriterWrapper.Write(p)
	}
	w.beginAtWrite()
	n, err := w.ResponseWriterWrapper.Write(p)
	if w.over {
		return n, err
	}
	w.copy(p[:n])
	w.passed += int64(n)
	w.failed = w.failed || err != nil
	return n, err
}

// beginAtWrite notes that the answer begins without a status.
func (w *writer) beginAtWrite() {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
}

// ReadFrom copies with the ReadFrom of the client's writer, which may be faster than Write,
// and sends in other pieces.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if w.over {
		return w.ResponseWriterWrapper.ReadFrom(r)
	}
	w.beginAtWrite()
	if w.copies {
		r = &tee{r, w}
	}
	n, err := w.ResponseWriterWrapper.ReadFrom(r)
	if !w.over {
		w.passed += n
		w.failed = w.failed || err != nil
	}
	return n, err
}

// tee copies what is read for an answer.
type tee struct {
	io.Reader
	to *writer
}

// Read implements [io.Reader].
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.to.copy(p[:n])
	return n, err
}

// copy copies a part of the body. A body that is too long is not of a poll that parker holds.
func (w *writer) copy(p []byte) {
	if w.copies {
		w.copies = w.exchange.body.add(p)
	}
}

// end notes that the answer has ended, and hands the exchange over. well reports whether it
// has ended as the route meant it to.
func (w *writer) end(well bool) {
	w.exchange.Took = time.Since(w.exchange.Begun)
	w.hand(well)
}

// drop forgets the exchange.
func (w *writer) drop() {
	w.sent.take(&w.exchange.sent)
	w.exchange.release()
}

// hand hands the exchange over.
func (w *writer) hand(well bool) {
	e := w.exchange
	e.Body = w.sent.take(&e.sent)
	e.Status, e.Sent = w.status, w.passed
	e.Answer = e.watcher.key.Answer(w.header)
	e.known = well && w.copies && !w.failed && w.hasLength()
	w.copies, w.over, w.exchange = false, true, nil
	e.hand()
}

// hasLength reports whether the body is as long as the header says, if it does.
func (w *writer) hasLength() bool {
	length, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	return err != nil || length == w.passed || w.status == http.StatusNotModified
}

// wants reports whether the body of an answer with this header could be that of a poll.
func (e *exchange) wants(header http.Header) bool {
	if e.partial {
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
		return e.Query != "" // JSONP names its function there
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
