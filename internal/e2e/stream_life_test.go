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
	caddy, _ := startNews(t, newsSite("sse {\nmax_age 5s\n}"))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	s.NextID(t, "")
	caddy.Publish(t, "news", "", "first")
	events, lastID, err := s.All(t)
	if len(events) != 1 || err != nil {
		t.Errorf("the stream had %v and ended with %v", events, err)
	}
	awaitStreams(t, caddy, "news", 0)
	caddy.Publish(t, "news", "", "second")
	if e := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+lastID).Next(t); e.Data != "second" {
		t.Errorf("after the end, heard %+v", e)
	}
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
	if e := s.Next(t); e.Data != "message" {
		t.Errorf("heard %+v", e)
	}
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
	if took := caddy.Stop(t); took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
	for i, s := range streams {
		events, _, err := s.All(t)
		if len(events) != 1 || err != nil {
			t.Errorf("by %s, heard %v and then %v", caddytest.Protocols[i/10], events, err)
		}
	}
}

func TestStreamContinuesAfterReload(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	s.NextID(t, "")
	caddy.Reload(t, newsSite("timeout 30s\nsse {\nheartbeat 50ms\n}"))
	awaitStreams(t, caddy, "news", 1)
	caddy.Publish(t, "news", "", "message")
	if e := s.Next(t); e.Data != "message" {
		t.Errorf("after a reload, heard %+v", e)
	}
	pages.Put("/news", caddytest.Page{Body: "news"})
	caddy.Publish(t, "news", "", "")
	e := s.Next(t)
	if e.Data != "news" {
		t.Errorf("after a reload, heard %+v", e)
	}
	s.Leave()
	awaitStreams(t, caddy, "news", 0)
	at := caddy.PublishWith(t, "news", "missed").Position
	if e := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+e.ID).Next(t); e.Data != "missed" || e.ID != at {
		t.Errorf("resumed after a reload, heard %+v", e)
	}
}

func TestStreamIsForgottenWhenClientDisconnects(t *testing.T) {
	eachProtocol(t, protocolsSite, func(t *testing.T, s scene) {
		first := caddytest.ListenWith(t, s.client.Transport, s.client.URL+s.path)
		second := caddytest.ListenWith(t, s.client.Transport, s.client.URL+s.path)
		parked := s.client.Get(t.Context(), s.path)
		awaitStreams(t, s.caddy.Caddy, s.channel, 2)
		s.caddy.AwaitWaiting(t, s.channel, 1)
		second.NextID(t, "")
		second.Leave()
		awaitStreams(t, s.caddy.Caddy, s.channel, 1)
		if p := s.caddy.PublishWith(t, s.channel, "message"); p.Released != 2 {
			t.Errorf("with a stream and a poll, %d were released", p.Released)
		}
		if e := first.Next(t); e.Data != "message" {
			t.Errorf("heard %+v", e)
		}
		if g := <-parked; g.Body != "message" {
			t.Errorf("the poll was answered %+v", g)
		}
		s.client.Disconnect()
		awaitStreams(t, s.caddy.Caddy, s.channel, 0)
	})
}
