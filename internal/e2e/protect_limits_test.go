package e2e

import (
	"context"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestLimitsPerClientCapsParkedRequests(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, "{\n{$GLOBAL}\nservers {\ntrusted_proxies static 127.0.0.1\n}\n}\n"+parking("per_client 2"), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	ctx, leave := context.WithCancel(t.Context())
	left := caddytest.Get(ctx, url, "X-Forwarded-For: 192.0.2.1")
	parked := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.1")
	caddy.AwaitWaiting(t, "feed", 2)
	expect(t, "[]", "full", caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.1"))
	other := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.2")
	caddy.AwaitWaiting(t, "feed", 3)

	// A poll that ends makes room.
	leave()
	<-left
	caddy.AwaitWaiting(t, "feed", 2)
	again := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.1")
	caddy.AwaitWaiting(t, "feed", 3)
	caddy.Publish(t, "feed", "", "hello")
	expect(t, "hello", "", parked, other, again)
}

// A page polls by setInterval without waiting for its last poll.
func TestSupersedeEndsOlderPollOfPage(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, parking("supersede {remote_host} {header.User-Agent}"), backend.Address)
	url := "http://" + caddy.Site
	others := []<-chan caddytest.Answer{
		caddytest.Get(t.Context(), url+"/feed", "User-Agent: other"),
		caddytest.Get(t.Context(), url+"/other", "User-Agent: page"),
	}
	caddy.AwaitWaiting(t, "feed", 1)
	caddy.AwaitWaiting(t, "other", 1)
	newest := caddytest.Get(t.Context(), url+"/feed", "User-Agent: page")
	caddy.AwaitWaiting(t, "feed", 2)
	for range 9 {
		older := newest
		newest = caddytest.Get(t.Context(), url+"/feed", "User-Agent: page")
		if g := <-older; g.Status != 200 || g.Body != "[]" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "timeout" {
			t.Errorf("an older poll was answered %+v", g)
		}
		caddy.AwaitWaiting(t, "feed", 2)
	}
	caddy.AwaitWaiting(t, "other", 1)
	caddy.Publish(t, "feed", "", "hello")
	caddy.Publish(t, "other", "", "hello")
	expect(t, "hello", "", append(others, newest)...)
}
