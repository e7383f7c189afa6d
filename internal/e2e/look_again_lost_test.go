package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// lateSite looks again long after each event, so that tests choose when.
var lateSite = withHook(`
	parker /messages {
		{$OPTIONS}
		sse {
			heartbeat 1s
		}
	}
	reverse_proxy {$BACKEND}
`)

func TestLookAgainKeepsPositionOfStreamBeforeWakeUp(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, lateSite, "OPTIONS=look_again 1m")
	url := "http://" + caddy.Site + "/messages"
	go func() { (<-backend.Asks()).Answer(http.StatusOK, "old") }()
	stream := caddytest.Listen(t, url)
	old := stream.Next(t)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusOK, "[]") // the write does not show yet
	for range 2 {
		stream.Comment(t)
	}
	if stream.LastID != old.ID {
		t.Errorf("the client was sent the position of the wake-up, %s", stream.LastID)
	}
	stream.Leave()
	go func() { (<-backend.Asks()).Answer(http.StatusOK, "new") }()
	again := caddytest.Listen(t, url, "Last-Event-ID: "+stream.LastID)
	if e := again.Next(t); e.Data != "new" || e.ID == old.ID {
		t.Errorf("after it came back, the client was sent %+v", e)
	}
}

func TestLookAgainGoesOnThroughReload(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before the write", "after the write"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			backend := &late{lag: 2 * time.Second}
			site := strings.Replace(lateSite, "{$OPTIONS}", "look_again 1s 3s", 1)
			caddy := caddytest.Start(t, site, caddytest.Serve(t, backend.ServeHTTP))
			url := "http://" + caddy.Site + "/messages"
			poll := caddytest.Get(t.Context(), url+"?since=0")
			stream := caddytest.Listen(t, url+"?since=0")
			caddy.AwaitWaiting(t, "messages", 1)
			awaitStreams(t, caddy, "messages", 1)
			write := func() {
				caddytest.Do(t.Context(), http.MethodPost, url, "")
				caddy.Publish(t, "messages", "", "")
			}
			if when == "after the write" {
				write()
			}
			caddy.MustLoad(t, strings.Replace(site, "heartbeat 1s", "heartbeat 2s", 1))
			if when == "before the write" {
				write()
			}
			expect(t, `{"last":1}`, "", poll)
			hears(t, stream, `{"last":1}`)
		})
	}
}

func TestLookAgainReachesAllStreamsThatShare(t *testing.T) {
	t.Parallel()
	backend := &late{lag: 300 * time.Millisecond}
	caddy := caddytest.Start(t, lateSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=look_again 1s\n share public")
	url := "http://" + caddy.Site + "/messages"
	first := caddytest.Listen(t, url)
	caddytest.Do(t.Context(), http.MethodPost, url, "")
	caddy.Publish(t, "messages", "", "")
	caddytest.Await(t, "the write shows", func() bool {
		return caddytest.Do(t.Context(), http.MethodGet, url, "", "Prefer: wait=0").Body == `{"last":1}`
	})
	// These have the news when they open, and one of them may be the one that looks.
	for range 12 {
		caddytest.Listen(t, url)
	}
	hears(t, first, `{"last":1}`)
}
