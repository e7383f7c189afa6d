package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// trial is a request to several routes of one Caddy, with and without parker. The
// transcripts must be equal.
type trial struct {
	name    string
	method  string // "": GET
	header  http.Header
	body    func() io.Reader // nil: none
	trailer http.Header
	serve   http.HandlerFunc

	// proceed, if not nil, gets a token when the client has seen the first byte of the
	// answer's body.
	proceed chan struct{}

	// prefersNoWait makes the client send Prefer: wait=0, for answers that would be
	// held. Parker confirms it in the answer, which it sends with its length, however
	// the backend framed it.
	prefersNoWait bool

	// breaksOff is set if the answer ends early. On HTTP/2 and 3 the reset of its
	// stream may then overtake the part that was sent.
	breaksOff bool
}

// make sends the request of the trial and returns a transcript of all that the client
// sees.
func (x trial) make(ctx context.Context, t *testing.T, client *caddytest.Client, path string) string {
	var log strings.Builder
	trace := &httptrace.ClientTrace{
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			// Both Caddy and the backend may send a 100 at the same time.
			if status != http.StatusContinue {
				fmt.Fprintln(&log, status)
				writeHeader(&log, http.Header(header))
			}
			return nil
		},
	}
	r := x.request(ctx, t, client.URL+path)
	answer, err := client.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	resets := x.breaksOff && (client.Protocol == caddytest.HTTP2 || client.Protocol == caddytest.HTTP3)
	if err != nil {
		if !resets {
			t.Errorf("%s was not answered: %v", path, err)
		}
		return "broken off\n"
	}
	defer answer.Body.Close()
	fmt.Fprintln(&log, answer.Proto, answer.StatusCode)
	if !x.prefersNoWait {
		fmt.Fprintln(&log, answer.ContentLength, answer.TransferEncoding, "close:", answer.Close)
	}
	x.writeHeader(&log, answer.ProtoMajor, answer.Header)
	digest := newDigest()
	if x.proceed != nil {
		if n, err := io.CopyN(digest, answer.Body, 1); n != 1 {
			t.Errorf("nothing arrived before the backend continued: %v", err)
		}
		select {
		case x.proceed <- struct{}{}:
		case <-r.Context().Done():
		}
	}
	_, err = io.Copy(digest, answer.Body)
	if err != nil && resets {
		return "broken off\n"
	}
	fmt.Fprintln(&log, digest, "broken off:", err != nil)
	if err == nil {
		writeHeader(&log, answer.Trailer)
	}
	return log.String()
}

func (x trial) request(ctx context.Context, t *testing.T, url string) *http.Request {
	var body io.Reader
	if x.body != nil {
		body = x.body()
	}
	r, err := http.NewRequestWithContext(ctx, x.method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, x.header)
	r.Trailer = x.trailer
	if x.prefersNoWait {
		r.Header.Set("Prefer", "wait=0")
	}
	return r
}

func (x trial) writeHeader(w io.Writer, proto int, header http.Header) {
	header = header.Clone()
	header.Del("Date")
	header.Del("Parker-Status")
	// Parker adds these fields for proxies in front where an answer is streamed.
	header.Del("X-Accel-Buffering")
	if header.Get("Content-Type") == "text/event-stream" && header.Get("Cache-Control") == "no-transform" {
		header.Del("Cache-Control")
	}
	if vary := header["Vary"]; len(vary) > 0 && vary[len(vary)-1] == "Accept" {
		header["Vary"] = vary[:len(vary)-1]
	}
	if len(header["Vary"]) == 0 {
		delete(header, "Vary")
	}
	if x.prefersNoWait {
		header.Del("Preference-Applied")
		header.Del("Content-Length")
	}
	if proto == 3 && header.Get("Content-Length") == "0" {
		header.Del("Content-Length") // quic-go may add it or not
	}
	writeHeader(w, header)
}

func writeHeader(w io.Writer, header http.Header) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(w, "  %s: %q\n", name, header[name])
	}
}

// digest represents a body of any size.
type digest struct {
	start bytes.Buffer
	size  int
	hash  hash.Hash
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

func (d *digest) Write(p []byte) (int, error) {
	d.start.Write(p[:min(len(p), max(0, 100-d.start.Len()))])
	d.size += len(p)
	return d.hash.Write(p)
}

func (d *digest) String() string {
	return fmt.Sprintf("body of %d bytes, %q, %x", d.size, d.start.String(), d.hash.Sum(nil))
}

// trialBackend serves each trial at its own path and records the requests.
type trialBackend struct {
	trials map[string]trial // by path; not changed while the backend runs

	mu      sync.Mutex // guards all below
	idle    sync.Cond  // serving has become 0
	serving map[string]int
	seen    map[string][]string
}

func newTrialBackend() *trialBackend {
	b := &trialBackend{trials: make(map[string]trial), serving: make(map[string]int), seen: make(map[string][]string)}
	b.idle.L = &b.mu
	return b
}

func (b *trialBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, ok := b.trials[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	var log strings.Builder
	fmt.Fprintln(&log, r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding)
	writeHeader(&log, r.Header)
	digest := newDigest()
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, digest), r.Body}
	b.note(r.URL.Path, 1, "")
	defer func() {
		fmt.Fprintln(&log, digest)
		writeHeader(&log, r.Trailer)
		b.note(r.URL.Path, -1, log.String())
	}()
	x.serve(w, r)
}

func (b *trialBackend) note(path string, serving int, seen string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.serving[path] += serving; b.serving[path] == 0 {
		b.idle.Broadcast()
	}
	if seen != "" {
		b.seen[path] = append(b.seen[path], seen)
	}
}

// take returns what the backend has received at the path since the last call. It waits
// until the backend has finished, because clients may be answered earlier.
func (b *trialBackend) take(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.serving[path] > 0 {
		b.idle.Wait()
	}
	defer delete(b.seen, path)
	return fmt.Sprintf("the backend was asked %d times\n%s", len(b.seen[path]), strings.Join(b.seen[path], ""))
}
