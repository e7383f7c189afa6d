package e2e

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStopEndsStreamsBetweenEvents(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, streamSite)
	url := "http://" + caddy.Site + "/messages"

	opened := make(chan *caddytest.Ask, 1)
	go func() {
		ask := <-backend.Asks()
		ask.Begin(200, "Content-Type: text/event-stream")
		ask.Write("data: whole\n\ndata: half")
		opened <- ask
	}()
	own := caddytest.Listen(t, url+"?own")
	ask := <-opened
	hears(t, own, "whole")
	go func() { (<-backend.Asks()).Answer(204, "") }()
	parkers := caddytest.Listen(t, url+"?parkers")
	awaitStreams(t, caddy, "messages", 1)

	stopped := make(chan time.Duration, 1)
	go func() { stopped <- caddy.Stop(t) }()
	ends(t, parkers)
	ask.Write("\n\n")
	ends(t, own, "half")
	if took := <-stopped; took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
}

func TestStopEndsReplaysThatHang(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("share public"))
	var polls []<-chan caddytest.Answer
	for range 2 {
		polls = append(polls, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed"))
		backend.Next(t).Answer(http.StatusOK, "[]")
		caddy.AwaitWaiting(t, "feed", len(polls))
	}
	caddy.Publish(t, "feed", "", "")
	hung := backend.Next(t)
	awaitJoined(t, caddy, 1)
	stops(t, caddy)
	expect(t, "[]", "stop", polls...)
	<-hung.Gone()
}

func TestStopIgnoresClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, withHook(`
	parker /events {
		hold messages
		sse {
			queue 10000 100MB
		}
	}
`), "127.0.0.1:1")
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+caddy.Site+"/events", nil)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	large := make([]byte, 900_000)
	for i := range large {
		large[i] = 'x'
	}
	for range 20 {
		caddy.Publish(t, "events", "text/plain", string(large))
	}
	stops(t, caddy)
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("the message that could not be sent was not counted as missed")
	}
}
