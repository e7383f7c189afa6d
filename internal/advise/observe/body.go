package observe

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/caddy-parker/parker/internal/requestbody"
)

// body copies the body of a request as it is read.
type body struct {
	io.ReadCloser
	length int64 // as the header says; -1: unknown

	mutex  sync.Mutex // the body may still be read when the answer has ended
	text   text
	copies bool // text is all that was read
	ended  bool // the body was read to its end
}

// watchBody puts a body in the place of that of a request, if it could name a call. It
// returns nil otherwise.
func watchBody(r *http.Request, w *watcher) *body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || r.ContentLength > maxBody || r.Method == http.MethodConnect {
		return nil
	}
	mediaType, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
	if !requestbody.IsForm(r.Header) && !strings.HasSuffix(strings.TrimSpace(mediaType), "json") && mediaType != "" && !strings.HasPrefix(mediaType, "text/") {
		return nil
	}
	b := &body{ReadCloser: r.Body, length: r.ContentLength, text: text{watcher: w}, copies: true}
	r.Body = b
	return b
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.copies {
		b.copies = b.text.add(p[:n])
		b.ended = err == io.EOF || int64(len(b.text.bytes)) == b.length
	}
	return n, err
}

// take moves what was read into a text and returns it. It returns nil if it is too long or not
// known. Nothing is copied any more.
func (b *body) take(into *text) []byte {
	if b == nil {
		return nil
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	whole := b.copies && b.ended
	b.copies = false
	if !whole {
		b.text.release()
		return nil
	}
	*into = b.text
	b.text.bytes = nil
	return into.bytes
}
