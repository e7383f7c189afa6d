package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// fields is a whole request or answer by field name. Values of a field that is repeated
// are joined by " | ". HTTP/2's pseudo-header fields and :body hold the rest.
type fields map[string]string

func fieldsOf(header map[string][]string, more fields) fields {
	f := fields{}
	for name, values := range header {
		f[name] = strings.Join(values, " | ")
	}
	maps.Copy(f, more)
	return f
}

// without returns f without the named fields.
func (f fields) without(names ...string) fields {
	f = maps.Clone(f)
	for _, name := range names {
		delete(f, name)
	}
	return f
}

// unvaried returns f without what parker adds to Vary.
func (f fields) unvaried() fields {
	f = maps.Clone(f)
	lines := slices.DeleteFunc(strings.Split(f["Vary"], " | "), func(line string) bool { return line == "Accept" || line == "" })
	if f["Vary"] = strings.Join(lines, " | "); len(lines) == 0 {
		delete(f, "Vary")
	}
	return f
}

// and returns the fields of both.
func (f fields) and(g fields) fields {
	f = maps.Clone(f)
	maps.Copy(f, g)
	return f
}

// minus returns f without the fields that g has with the same value.
func (f fields) minus(g fields) fields {
	maps.DeleteFunc(f, func(name, _ string) bool {
		_, ok := g[name]
		return ok
	})
	return f
}

// at returns f for one of a pair's sites.
func (f fields) at(site int) fields {
	f = maps.Clone(f)
	for name, value := range f {
		f[name] = strings.ReplaceAll(value, "{host}", host(site))
	}
	return f
}

// poll is a request in the notation of the tests.
type poll struct {
	line    string // method and target; GET /messages?since=0 if it is empty
	header  []string
	body    string
	chunked bool
}

// with returns the poll with one more header field.
func (q poll) with(field string) poll {
	q.header = append([]string{field}, q.header...)
	return q
}

// send sends the poll over its own connection, in the background. It keeps the header
// of the answer as it was sent: net/http's client would hide a repeated Content-Length.
func (q poll) send(t *testing.T, address, host string) <-chan fields {
	line := q.line
	if line == "" {
		line = "GET /messages?since=0"
	}
	method, target, _ := strings.Cut(line, " ")
	r, err := http.NewRequest(method, "http://"+host+target, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.chunked {
		r.ContentLength = -1
	}
	r.Header.Set("Cookie", "visit=1")
	for _, field := range q.header {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	answered := make(chan fields, 1)
	go func() {
		answer, err := exchange(t.Context(), address, r)
		if err != nil {
			answer = fields{":err": err.Error()}
		}
		answered <- answer
	}()
	return answered
}

func exchange(ctx context.Context, address string, r *http.Request) (fields, error) {
	ctx, cancel := context.WithTimeout(ctx, caddytest.ClientPatience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	answer, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), r)
	if err != nil {
		return nil, err
	}
	head := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw.Bytes())))
	if _, err := head.ReadLine(); err != nil {
		return nil, err
	}
	header, err := head.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	body, err = decode(header.Get("Content-Encoding"), body)
	if err != nil {
		return nil, err
	}
	delete(header, "Date")
	return fieldsOf(header, fields{":status": strconv.Itoa(answer.StatusCode), ":body": string(body)}), nil
}

func decode(coding string, body []byte) ([]byte, error) {
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return body, nil
}

// news is long enough for encode to compress it.
var news = `["` + strings.Repeat("hello ", 200) + `"]`

// recorder is a backend that keeps all requests. It knows plain polling and
// If-None-Match, and answers clients that accept HTML with text that the templates
// handler executes.
type recorder struct {
	Address string
	news    atomic.Bool // there are news

	mu       sync.Mutex // guards requests
	requests []fields
}

func newRecorder(t *testing.T) *recorder {
	b := new(recorder)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.Address = server.Listener.Addr().String()
	return b
}

func (b *recorder) reset() {
	b.news.Store(false)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
}

// seen returns the requests so far.
func (b *recorder) seen() []fields {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.requests)
}

// ServeHTTP records the request and answers it.
func (b *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.requests = append(b.requests, fieldsOf(r.Header, fields{
		":method": r.Method, ":path": r.RequestURI, ":authority": r.Host, ":body": string(body),
		":framing": strings.Join(r.TransferEncoding, " ") + strconv.FormatInt(r.ContentLength, 10),
	}))
	b.mu.Unlock()

	etag, contentType, text := `"v1"`, "application/json", "[]"
	if b.news.Load() {
		etag, text = `"v2"`, news
	}
	if r.Header.Get("Accept") == "text/html" {
		contentType, text = "text/html", ""
		if b.news.Load() {
			text = "<p>{{len .Req.URL.Path}} letters</p>"
		}
	}
	header := w.Header()
	header.Set("Set-Cookie", "visit=1; Path=/")
	header.Set("Vary", "Cookie")
	header.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(w, text)
}
