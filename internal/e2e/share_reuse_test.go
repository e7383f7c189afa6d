package e2e

import (
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReuseServesNothingNewAnswerUntilPublish(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("reuse 1m"))
	url := "http://" + caddy.Site + "/feed"
	var parked []<-chan caddytest.Answer
	for i := range 5 {
		parked = append(parked, caddytest.Get(t.Context(), url))
		if i == 0 {
			backend.Next(t).Answer(200, "[]")
		}
		caddy.AwaitWaiting(t, "feed", i+1)
	}
	expect(t, "[]", "", caddytest.Get(t.Context(), url, "Prefer: wait=0"))
	backend.Unasked(t)

	// One of the waiting polls asks, and its answer is reused again.
	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", 5)
	expect(t, "[]", "", caddytest.Get(t.Context(), url, "Prefer: wait=0"))
	backend.Unasked(t)

	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[1]")
	expect(t, "[1]", "replay", parked...)
	backend.Unasked(t)

	// News is not reused for later polls.
	news := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(200, "[2]")
	expect(t, "[2]", "none", news)
}
