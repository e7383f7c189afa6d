package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// beatingRoute has heartbeats that are frequent enough for a test.
const beatingRoute = `
	parker {
		sse {
			heartbeat 20ms
		}
	}
	reverse_proxy {$BACKEND}
`

func TestBackendStreamGetsHeadersAndHeartbeats(t *testing.T) {
	t.Parallel()
	s, caddy := setStage(t, beatingRoute)
	for _, protocol := range caddytest.Protocols {
		s.client = caddy.Client(t, protocol)
		for _, k := range kinds {
			if k.mediaType == "" {
				continue
			}
			p := s.begin(t, k, "identity", "Cache-Control: no-cache, private").opened(t)
			want := map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-cache, private", "Content-Length": ""}
			if k.isStream() {
				want["Cache-Control"] += ", no-transform"
			}
			for name, value := range want {
				if got := strings.Join(p.answer.Header[name], " | "); got != value {
					t.Errorf("%s has %s %q, want %q", p, name, got, value)
				}
			}
			for _, text := range []string{"first", "second"} {
				if k.isStream() {
					p.awaitHeartbeats(t, 2)
				}
				p.say(t, text)
				p.awaitText(t, text)
			}
			p.end(t)
			if got := strings.ReplaceAll(p.got.String(), ": \n", ""); got != "data: first\n\ndata: second\n\n" {
				t.Errorf("%s delivered %q", p, got)
			}
			if !k.isStream() && p.heartbeats() > 0 {
				t.Errorf("%s has comments in it: %q", p, &p.got)
			}
		}
	}
}

// awaitHeartbeats waits for more heartbeats.
func (p *passage) awaitHeartbeats(t *testing.T, more int) {
	t.Helper()
	before := p.heartbeats()
	caddytest.Await(t, p.String()+" has heartbeats", func() bool { return p.heartbeats() >= before+more })
}

func TestBackendStreamHeartbeatNeverSplitsEvent(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, beatingRoute)
	beating := s.begin(t, kinds[0], "identity").opened(t)
	for _, k := range kinds[1:] {
		if !k.isStream() {
			continue
		}
		p := s.begin(t, k, "identity").opened(t)
		for _, part := range []string{"da", "ta: 1\r", "\ndata: 2\n"} {
			p.ask.Write(part)
			caddytest.Await(t, "the part arrives", func() bool { return strings.HasSuffix(p.got.String(), part) })
			beating.awaitHeartbeats(t, 3)
		}
		p.ask.Write("\n")
		p.awaitHeartbeats(t, 2)
		p.ask.Write("id: 7\n\n")
		p.end(t)
		if got := strings.ReplaceAll(p.got.String(), ": \n", ""); got != "data: 1\r\ndata: 2\n\nid: 7\n\n" || !strings.Contains(p.got.String(), "data: 1\r\ndata: 2\n\n") {
			t.Errorf("%s delivered %q", p, &p.got)
		}
	}
}

// old is a backend that speaks HTTP/1.0 and ends each answer by closing the connection.
type old struct {
	body   atomic.Pointer[string] // of its page
	events chan string            // of its stream, which ends when the channel is closed
}

func (b *old) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if r.URL.Path != "/stream" {
		io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"+*b.body.Load())
		return
	}
	io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
	for event := range b.events {
		io.WriteString(conn, event)
	}
}

func TestBackendSpeakingHTTP10Works(t *testing.T) {
	t.Parallel()
	backend := &old{events: make(chan string)}
	nothing, news := "[]", "[1]"
	backend.body.Store(&nothing)
	caddy := caddytest.Start(t, "http://{$SITE} {\n"+bareRoute+"}\nhttp://{$HOOK} {\n\tparker_publish\n}\n", caddytest.Serve(t, backend.ServeHTTP))
	url := "http://" + caddy.Site + "/"

	own := caddytest.Listen(t, url+"page")
	answered := caddytest.Get(t.Context(), url+"page")
	caddy.AwaitWaiting(t, "page", 1)
	awaitStreams(t, caddy, "page", 1)
	backend.body.Store(&news)
	caddy.Publish(t, "page", "", "")
	if g := <-answered; g.Err != nil || g.Body != news || g.Release() != "replay" {
		t.Errorf("after a publish the poll was answered %+v", g)
	}
	if e := own.Next(t); e.Data != news {
		t.Errorf("the stream brings %+v", e)
	}

	passed := caddytest.Listen(t, url+"stream")
	for _, data := range []string{"first", "second"} {
		backend.events <- "data: " + data + "\n\n"
		if e := passed.Next(t); e.Data != data {
			t.Errorf("the backend's stream brings %+v", e)
		}
	}
	close(backend.events)
	if rest, err := passed.Rest(t); len(rest) > 0 || err != nil {
		t.Errorf("the backend's stream ended with %v, %v", rest, err)
	}
}
