package e2e

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// atOnce is the time within which Caddy must have stopped, on a busy machine.
const atOnce = 10 * time.Second

func TestStopEndsStreamsBetweenEvents(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, streamSite, backend.Address)
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
	if e := own.Next(t); e.Data != "whole" {
		t.Errorf("heard %+v", e)
	}
	go func() { (<-backend.Asks()).Answer(204, "") }()
	parkers := caddytest.Listen(t, url+"?parkers")
	awaitStreams(t, caddy, "messages", 1)

	stopped := make(chan time.Duration, 1)
	go func() { stopped <- caddy.Stop(t) }()
	if rest, err := parkers.Rest(t); err != nil || len(rest) != 0 {
		t.Errorf("parker's own stream ended with %v, %v", rest, err)
	}
	ask.Write("\n\n")
	if rest, err := own.Rest(t); err != nil || len(rest) != 1 || rest[0].Data != "half" {
		t.Errorf("the backend's stream ended with %v, %v", rest, err)
	}
	if took := <-stopped; took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
}

func TestStopEndsReplaysThatHang(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("share public"), backend.Address)
	var polls []<-chan caddytest.Answer
	for range 2 {
		polls = append(polls, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed"))
		backend.Next(t).Answer(http.StatusOK, "[]")
		caddy.AwaitWaiting(t, "feed", len(polls))
	}
	caddy.Publish(t, "feed", "", "")
	hung := backend.Next(t)
	caddy.AwaitInside(t, joined, 1)
	if took := caddy.Stop(t); took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
	for _, poll := range polls {
		if g := <-poll; g.Body != "[]" || g.Release() != "stop" {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	<-hung.Gone()
}

func TestStopIgnoresClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker /events {
		hold messages
		sse {
			queue 10000 100MB
		}
	}
}
http://{$HOOK} {
	parker_publish
}`, "127.0.0.1:1")
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
	caddy.AwaitInside(t, "response.(*Writer).send", 1)
	if took := caddy.Stop(t); took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("the message that could not be sent was not counted as missed")
	}
}
