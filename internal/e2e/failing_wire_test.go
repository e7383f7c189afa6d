package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// wire is a backend that answers each request with the bytes scripted for its path and
// closes the connection.
type wire struct {
	address string

	mu   sync.Mutex // guards asks
	asks map[string]int
}

// reset as the last part resets the connection.
const reset = "reset"

func newWire(t *testing.T, script func(path string, ask int) []string) *wire {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	b := &wire{address: listener.Addr().String(), asks: make(map[string]int)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.answer(conn.(*net.TCPConn), script)
		}
	}()
	return b
}

func (b *wire) answer(conn *net.TCPConn, script func(path string, ask int) []string) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	b.mu.Lock()
	b.asks[r.URL.Path]++
	ask := b.asks[r.URL.Path]
	b.mu.Unlock()
	for i, part := range script(strings.TrimPrefix(r.URL.Path, "/"), ask) {
		if part == reset {
			conn.SetLinger(0)
			return
		}
		if i > 0 {
			<-time.After(2 * time.Millisecond) // slowly, so that most parts get their own packet
		}
		io.WriteString(conn, part)
	}
}

func (b *wire) asked(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asks["/"+path]
}

func byteByByte(text string) []string { return strings.Split(text, "") }

// failing are answers that are slow or wrong. Some are news to parker, and some would
// be nothing new if they were complete.
var failing = map[string][]string{
	"slow":                     byteByByte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews"),
	"slow-chunks":              byteByByte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnews\r\n0\r\n\r\n"),
	"early-hints":              {"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews"},
	"processing":               {"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"},
	"no-answer":                {},
	"reset-at-once":            {reset},
	"ends-in-the-body":         {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnews"},
	"ends-in-an-empty-list":    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"},
	"ends-in-an-empty-body":    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"},
	"ends-between-chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"},
	"more-than-its-length":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nnews"},
	"two-lengths":              {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nnews"},
	"a-length-that-is-none":    {"HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\nnews"},
	"not-HTTP":                 {"news\r\n\r\n"},
	"a-status-that-is-none":    {"HTTP/1.1 2OO OK\r\n\r\nnews"},
	"a-server-error":           {"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nnews"},
	"unavailable":              {"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nnews"},
	"an-answer-without-an-end": {"HTTP/1.0 200 OK\r\n\r\nnews"},
}

const failingSites = `
http://{$SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$PLAIN} {
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

func TestFirstAskFailsAsWithoutParker(t *testing.T) {
	t.Parallel()
	backend := newWire(t, func(path string, _ int) []string { return failing[path] })
	plain := caddytest.FreePorts(t, 1)[0]
	caddy := caddytest.Start(t, failingSites, backend.address, "PLAIN="+plain)
	caddy.AwaitServing(t, plain)
	for path := range failing {
		t.Run(path, func(t *testing.T) {
			want := seen(t, "http://"+plain+"/"+path)
			asked := backend.asked(path)
			if got := seen(t, "http://"+caddy.Site+"/"+path); got != want {
				t.Errorf("with parker:\n%s\nwithout:\n%s", got, want)
			}
			if again := backend.asked(path) - asked; again != asked {
				t.Errorf("the backend was asked %d times, without parker %d", again, asked)
			}
		})
	}
}

// seen returns everything that a client sees of an answer, except for what parker adds,
// including the headers that it adds to streamed answers.
func seen(t *testing.T, url string) string {
	var all strings.Builder
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
		fmt.Fprintln(&all, status, header)
		return nil
	}})
	g := caddytest.DoWith(ctx, &http.Transport{DisableKeepAlives: true}, http.MethodGet, url, "")
	for _, name := range []string{"Date", "Parker-Status", "X-Accel-Buffering", "Content-Type"} {
		g.Header.Del(name)
	}
	if slices.Equal(g.Header["Vary"], []string{"Accept"}) {
		g.Header.Del("Vary")
	}
	fmt.Fprintf(&all, "%d %q, failed: %t", g.Status, g.Body, g.Err != nil)
	for _, name := range slices.Sorted(maps.Keys(g.Header)) {
		fmt.Fprintf(&all, "\n%s: %q", name, g.Header[name])
	}
	return all.String()
}

// A broken answer is asked for again, unless part of it has reached the client.
func TestFailedReplayStaysParkedOrFailsAsWithoutParker(t *testing.T) {
	t.Parallel()
	final := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal"
	backend := newWire(t, func(path string, ask int) []string {
		switch ask {
		case 1:
			return []string{"HTTP/1.1 204 No Content\r\n\r\n"}
		case 2:
			return failing[path]
		}
		return []string{final}
	})
	plain := caddytest.FreePorts(t, 1)[0]
	caddy := caddytest.Start(t, failingSites, backend.address, "PLAIN="+plain)
	begun := map[string]string{
		"slow": "200 news", "slow-chunks": "200 news", "early-hints": "200 news", "processing": "404 no",
		"more-than-its-length": "200 ne", "a-server-error": "500 news", "an-answer-without-an-end": "200 news",
		"ends-in-the-body": "200 news and fails",
	}
	for path := range failing {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			poll := caddytest.Get(ctx, "http://"+caddy.Site+"/"+path)
			caddy.AwaitWaiting(t, path, 1)
			caddy.Publish(t, path, "", "")
			g := <-poll
			want := begun[path]
			if want == "" {
				want = "200 final"
			}
			got := fmt.Sprint(g.Status, " ", g.Body)
			if g.Err != nil {
				got += " and fails"
			}
			if got != want || g.Release() != "replay" {
				t.Errorf("answered %+v, want %s", g, want)
			}
		})
	}
}
