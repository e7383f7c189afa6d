package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestBackendRestartIsInvisibleToParkedPolls(t *testing.T) {
	t.Parallel()
	address := caddytest.FreePorts(t, 1)[0]
	says := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
	}
	server := caddytest.ServeAt(t, address, says("[]"))
	caddy := caddytest.Start(t, parking(""), address)
	const polls = 15
	var parked []<-chan caddytest.Answer
	for i := range polls {
		parked = append(parked, pollAs(t.Context(), caddy, max(0, i-10)))
	}
	caddy.AwaitWaiting(t, "feed", polls)
	server.Close()
	release(t, caddy, "feed", polls)
	// The polls are parked again when their replays have been refused.
	caddy.AwaitWaiting(t, "feed", polls)
	caddytest.ServeAt(t, address, says("[1]"))
	expect(t, "[1]", "replay", parked...)
}

func TestReplayIsRetriedAfterFailure(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	for name, fail := range map[string]func(*caddytest.Ask){
		"502":                      func(a *caddytest.Ask) { a.Answer(502, "Bad Gateway") },
		"504":                      func(a *caddytest.Ask) { a.Answer(504, strings.Repeat("long ", 100_000)) },
		"broken off in the middle": func(a *caddytest.Ask) { a.Begin(200, "Content-Length: 2"); a.Write("["); a.Break() },
		"a 503 that is slow": func(a *caddytest.Ask) {
			a.Begin(503)
			a.Write("Service")
			<-time.After(400 * time.Millisecond)
			a.End()
		},
	} {
		t.Run(name, func(t *testing.T) {
			parked := park(t, caddy, backend, "/feed")
			release(t, caddy, "feed", 1)
			fail(backend.Next(t))
			fail(backend.Next(t))
			backend.Next(t).Answer(200, "[1]")
			expect(t, "[1]", "replay", parked)
			backend.Unasked(t)
		})
	}
}

// Any other answer is final.
func TestReplayPassesOnFinalRefusal(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	for _, status := range []int{401, 403, 404, 410, 500, 501} {
		parked := park(t, caddy, backend, "/feed")
		release(t, caddy, "feed", 1)
		backend.Next(t).Answer(status, "sorry", "X-Legacy: yes")
		if g := <-parked; g.Status != status || g.Body != "sorry" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "replay" {
			t.Errorf("after %d the poll was answered %+v", status, g)
		}
	}
	backend.Unasked(t)
}

func TestReplayFailureEndsInNothingNewAnswerAtTimeout(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request){
		"503":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fails atomic.Bool
			failed := make(chan struct{}, 1000)
			caddy := caddytest.Start(t, parking(""), caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if fails.Load() {
					failed <- struct{}{}
					fail(w, r)
					return
				}
				w.Header().Set("X-Legacy", "yes")
				io.WriteString(w, "[]")
			}))
			var parked []<-chan caddytest.Answer
			for range 3 {
				parked = append(parked, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Prefer: wait=4"))
			}
			caddy.AwaitWaiting(t, "feed", 3)
			fails.Store(true)
			release(t, caddy, "feed", 3)
			<-failed
			for _, answered := range parked {
				g := <-answered
				if g.Status != 200 || g.Body != "[]" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "error" && g.Release() != "timeout" {
					t.Errorf("the poll was answered %+v", g)
				}
				if name == "503" && g.Release() != "error" {
					t.Errorf("the poll was answered with release=%s", g.Release())
				}
			}
		})
	}
}

func TestReplayFailuresCauseFewAsks(t *testing.T) {
	t.Parallel()
	var replays atomic.Int32
	var published atomic.Bool
	caddy := caddytest.Start(t, parking(""), caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !published.Load():
			io.WriteString(w, "[]")
		case replays.Add(1) > 3:
			io.WriteString(w, "[1]")
		default:
			w.WriteHeader(503)
		}
	}))
	const polls = 300
	transport := crowdTransport()
	defer transport.CloseIdleConnections()
	answers := make(chan caddytest.Answer, polls)
	for range polls {
		go func() {
			answers <- caddytest.DoWith(t.Context(), transport, http.MethodGet, "http://"+caddy.Site+"/feed", "")
		}()
	}
	caddy.AwaitWaiting(t, "feed", polls)
	published.Store(true)
	release(t, caddy, "feed", polls)
	for range polls {
		expect(t, "[1]", "replay", answers)
	}
	if n := replays.Load(); n > 12 {
		t.Errorf("%d polls were replayed %d times until the backend was back", polls, n)
	}
}
