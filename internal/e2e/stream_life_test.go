package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamSendsHeartbeatsWhenSilent(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("sse {\nheartbeat 50ms\n}"))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	if first := s.Comment(t); first != "parker" {
		t.Errorf("the first comment is %q", first)
	}
	id := s.NextID(t, "")
	for i := range 3 {
		s.Comment(t)
		s.Comment(t)
		text := fmt.Sprint("message ", i)
		caddy.Publish(t, "news", "", text)
		if e := s.Next(t); e.Data != text || e.ID == id {
			t.Errorf("between heartbeats, heard %+v", e)
		}
	}
}

func TestStreamEndsAtConfiguredAge(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("sse {\nmax_age 2s\n}"))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	s.NextID(t, "")
	caddy.Publish(t, "news", "", "first")
	events, lastID, err := s.All(t)
	if len(events) != 1 || err != nil {
		t.Errorf("the stream had %v and ended with %v", events, err)
	}
	awaitStreams(t, caddy, "news", 0)
	caddy.Publish(t, "news", "", "second")
	hears(t, caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+lastID), "second")
}

func TestStreamOutlivesPollTimeout(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("timeout 100ms"))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	s.NextID(t, "")
	for range 3 { // each takes as long as a poll is held
		if g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", ""); g.Release() != "timeout" {
			t.Fatalf("a poll was answered %+v", g)
		}
	}
	caddy.Publish(t, "news", "", "message")
	hears(t, s, "message")
}

func TestStreamsEndCleanlyOnStop(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/news", emptyList)
	caddy := caddytest.StartSecure(t, `
http://{$SITE}, https://{$TLS_SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`, pages.Address)
	var streams []*caddytest.Stream
	for _, protocol := range caddytest.Protocols {
		for range 10 {
			client := caddy.Client(t, protocol)
			s := caddytest.ListenWith(t, client.Transport, client.URL+"/news")
			s.NextID(t, "")
			streams = append(streams, s)
		}
	}
	caddy.Publish(t, "news", "", "last words")
	stops(t, caddy)
	for i, s := range streams {
		events, _, err := s.All(t)
		if len(events) != 1 || err != nil {
			t.Errorf("by %s, heard %v and then %v", caddytest.Protocols[i/10], events, err)
		}
	}
}
