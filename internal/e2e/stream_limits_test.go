package e2e

import (
	"context"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamCountsTowardPerClientLimit(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("per_client 2"))
	target := "http://" + caddy.Site + "/news"
	first, second := caddytest.Listen(t, target), caddytest.Listen(t, target)
	first.NextID(t, "")
	second.NextID(t, "")
	awaitStreams(t, caddy, "news", 2)
	if events, _, err := caddytest.Listen(t, target).All(t); len(events) > 0 || err != nil {
		t.Errorf("the stream beyond the limit heard %v and then %v", events, err)
	}
	expect(t, "[]", "full", caddytest.Get(t.Context(), target))
	first.Leave()
	awaitStreams(t, caddy, "news", 1)
	parked := caddytest.Get(t.Context(), target)
	caddy.AwaitWaiting(t, "news", 1)
	caddy.Publish(t, "news", "", "message")
	hears(t, second, "message")
	expect(t, "message", "", parked)
}

func TestStreamIsRefusedWhenLotIsFull(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, `{
	{$GLOBAL}
	parker {
		max_parked 2
	}
}
http://{$SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`)
	target := "http://" + caddy.Site + "/news"
	s := caddytest.Listen(t, target)
	s.NextID(t, "")
	ctx, leave := context.WithCancel(t.Context())
	parked := caddytest.Get(ctx, target)
	caddy.AwaitWaiting(t, "news", 1)
	pages.Put("/news", caddytest.Page{Body: "news"})
	beyond := caddytest.Listen(t, target)
	if events, _, err := beyond.All(t); len(events) != 1 || events[0].Data != "news" || err != nil {
		t.Errorf("the stream beyond the limit heard %v and then %v", events, err)
	}
	leave()
	<-parked
	caddy.Publish(t, "news", "", "message")
	hears(t, s, "message")
}

func TestSupersedeReplacesOlderStream(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("supersede {http.request.header.Cookie}"))
	target := "http://" + caddy.Site + "/news"
	older := caddytest.Listen(t, target, "Cookie: a")
	older.NextID(t, "")
	other := caddytest.Listen(t, target, "Cookie: b")
	other.NextID(t, "")
	newer := caddytest.Listen(t, target, "Cookie: a")
	newer.NextID(t, "")
	ends(t, older)
	awaitStreams(t, caddy, "news", 2)
	caddy.Publish(t, "news", "", "message")
	for _, s := range []*caddytest.Stream{newer, other} {
		hears(t, s, "message")
	}
}
