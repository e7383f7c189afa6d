package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamEndsWithReasonWhenReplayIsRefused(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	for _, x := range []struct {
		status int // that the client is told
		page   caddytest.Page
	}{
		{301, caddytest.Page{Status: http.StatusMovedPermanently, Body: "secret reasons"}},
		{401, caddytest.Page{Status: http.StatusUnauthorized, Body: "secret reasons"}},
		{500, caddytest.Page{Status: http.StatusInternalServerError, Body: "secret reasons"}},
		// These answers cannot be an event.
		{502, caddytest.Page{Body: strings.Repeat("long ", 300_000)}},
		{502, caddytest.Page{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: "data: x\n\n"}},
		{206, caddytest.Page{Status: http.StatusPartialContent, Body: "x"}},
	} {
		pages.Put("/news", emptyList)
		s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
		id := s.NextID(t, "")
		pages.Put("/news", x.page)
		caddy.Publish(t, "news", "", "")
		if e := s.Next(t); e.Type != "parker.error" || e.Data != fmt.Sprintf(`{"status":%d}`, x.status) || e.ID != id {
			t.Errorf("heard %+v, want the status %d and the last ID %s", e, x.status, id)
		}
		ends(t, s)
		awaitStreams(t, caddy, "news", 0)
	}
}

func TestStreamEventMayBeAsLongAsMessage(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	long := strings.Repeat("long ", 199_000)
	pages.Put("/news", caddytest.Page{Body: long})
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	hears(t, s, long)
	pages.Put("/news", caddytest.Page{Body: "new" + long})
	caddy.Publish(t, "news", "", "")
	hears(t, s, "new"+long)
}

func TestStreamGetsNewsFoundByWatch(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite("watch 20ms"))
	var streams []*caddytest.Stream
	for range 10 {
		streams = append(streams, caddytest.Listen(t, "http://"+caddy.Site+"/news"))
	}
	awaitStreams(t, caddy, "news", 10)
	for i := range 3 {
		text := fmt.Sprint("news ", i)
		pages.Put("/news", caddytest.Page{Body: text})
		for _, s := range streams {
			if e := s.Next(t); e.Data != text || e.ID == "" {
				t.Errorf("heard %+v, want %s", e, text)
			}
		}
	}
	began, asks := time.Now(), pages.Asks("/news")
	caddytest.Await(t, "the backend has been asked twenty times more", func() bool { return pages.Asks("/news") >= asks+20 })
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("for ten streams the backend was asked twenty times in %v", took)
	}
}
