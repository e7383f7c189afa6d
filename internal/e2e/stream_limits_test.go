package e2e

import (
	"context"
	"net/http"
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
	if g := caddytest.Do(t.Context(), http.MethodGet, target, ""); g.Release() != "full" || g.Body != "[]" {
		t.Errorf("the poll beyond the limit was answered %+v", g)
	}
	first.Leave()
	awaitStreams(t, caddy, "news", 1)
	parked := caddytest.Get(t.Context(), target)
	caddy.AwaitWaiting(t, "news", 1)
	caddy.Publish(t, "news", "", "message")
	if e := second.Next(t); e.Data != "message" {
		t.Errorf("heard %+v", e)
	}
	if g := <-parked; g.Body != "message" {
		t.Errorf("a poll in place of a stream was answered %+v", g)
	}
}

// An event that comes while a stream opens must not be a way around the limit.
func TestStreamBeyondLimitStaysOutDespiteMessage(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite("per_client 1"), backend.Address)
	listen(t, caddy, backend)
	go func() {
		ask := backend.Next(t)
		caddy.Publish(t, "news", "", "message")
		ask.Answer(http.StatusNoContent, "")
	}()
	events, _, err := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Cookie: another").All(t)
	if len(events) > 1 || err != nil {
		t.Errorf("the stream beyond the limit heard %v and then %v", events, err)
	}
	awaitStreams(t, caddy, "news", 1)
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
	if e := s.Next(t); e.Data != "message" {
		t.Errorf("heard %+v", e)
	}
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
	if events, _, err := older.All(t); len(events) > 0 || err != nil {
		t.Errorf("the older stream heard %v and then %v", events, err)
	}
	awaitStreams(t, caddy, "news", 2)
	caddy.Publish(t, "news", "", "message")
	for _, s := range []*caddytest.Stream{newer, other} {
		if e := s.Next(t); e.Data != "message" {
			t.Errorf("heard %+v", e)
		}
	}
}
