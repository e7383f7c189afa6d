package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReuseServesNothingNewAnswerUntilPublish(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("reuse 1m"), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	var parked []<-chan caddytest.Answer
	for i := range 5 {
		parked = append(parked, caddytest.Get(t.Context(), url))
		if i == 0 {
			backend.Next(t).Answer(200, "[]")
		}
		caddy.AwaitWaiting(t, "feed", i+1)
	}
	if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Prefer: wait=0"); g.Body != "[]" {
		t.Errorf("a plain poll was answered %+v", g)
	}
	backend.Unasked(t)

	// One of the waiting polls asks, and its answer is reused again.
	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", 5)
	if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Prefer: wait=0"); g.Body != "[]" {
		t.Errorf("a plain poll was answered %+v", g)
	}
	backend.Unasked(t)

	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[1]")
	for _, answered := range parked {
		if g := <-answered; g.Body != "[1]" || g.Release() != "replay" {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	backend.Unasked(t)

	// News is not reused for later polls.
	news := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(200, "[2]")
	if g := <-news; g.Body != "[2]" || g.Release() != "none" {
		t.Errorf("a poll after the news was answered %+v", g)
	}
}

// No poll waits when the publish comes.
func TestReuseEndsAtPublishWithoutWaitingPolls(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("reuse 1m"), backend.Address)
	poll := func() <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Prefer: wait=0")
	}
	answered := poll()
	backend.Next(t).Answer(200, "[]")
	<-answered
	if g := <-poll(); g.Body != "[]" {
		t.Errorf("the second poll was answered %+v", g)
	}
	backend.Unasked(t)
	caddy.Publish(t, "feed", "", `"a message"`)
	answered = poll()
	backend.Next(t).Answer(200, "[1]")
	if g := <-answered; g.Body != "[1]" {
		t.Errorf("after a publish the poll was answered %+v", g)
	}
}

func TestReuseEndsAfterConfiguredTime(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, parking("reuse 200ms"), backend.Address)
	begin := time.Now()
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	caddy.AwaitWaiting(t, "feed", 1)
	caddytest.Await(t, "an answer serves no longer", func() bool {
		caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/feed", "", "Prefer: wait=0")
		return backend.Asks.Load() == 3
	})
	took := time.Since(begin)
	caddy.Publish(t, "feed", "", "bye")
	<-parked
	if took < 400*time.Millisecond {
		t.Errorf("the backend was asked 3 times in %s", took)
	}
}
