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

	mutex sync.Mutex // the body may still be read when the answer has ended
	text  []byte
	whole bool // text is all that was read
}

// watchBody puts a body in the place of that of a request, if it could name a call. It
// returns nil otherwise.
func watchBody(r *http.Request) *body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || r.ContentLength > maxBody {
		return nil
	}
	mediaType, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
	if !requestbody.IsForm(r.Header) && !strings.HasSuffix(strings.TrimSpace(mediaType), "json") && mediaType != "" && !strings.HasPrefix(mediaType, "text/") {
		return nil
	}
	b := &body{ReadCloser: r.Body, whole: true}
	r.Body = b
	return b
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.whole = b.whole && len(b.text)+n <= maxBody; b.whole {
		b.text = append(b.text, p[:n]...)
	} else {
		b.text = nil
	}
	return n, err
}

// take returns what was read, or nil if it is too long or not known. Nothing is copied any
// more.
func (b *body) take() []byte {
	if b == nil {
		return nil
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	text := b.text
	b.whole, b.text = false, nil
	return text
}
