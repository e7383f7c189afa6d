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
	for _, status := range []int{301, 401, 403, 404, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			caddy, pages := startNews(t, newsSite(""))
			s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
			id := s.NextID(t, "")
			pages.Put("/news", caddytest.Page{Status: status, Body: "secret reasons"})
			caddy.Publish(t, "news", "", "")
			e := s.Next(t)
			if e.Type != "parker.error" || e.Data != fmt.Sprintf(`{"status":%d}`, status) || e.ID != id {
				t.Errorf("heard %+v, want the last ID %s", e, id)
			}
			ends(t, s)
			awaitStreams(t, caddy, "news", 0)
		})
	}
}

func TestStreamEndsWhenAnswerCannotBeEvent(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]caddytest.Page{
		"too long":            {Body: strings.Repeat("long ", 300_000)},
		"an own event stream": {Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: "data: x\n\n"},
		"a part":              {Status: http.StatusPartialContent, Body: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caddy, pages := startNews(t, newsSite(""))
			s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
			s.NextID(t, "")
			pages.Put("/news", page)
			caddy.Publish(t, "news", "", "")
			if e := s.Next(t); e.Type != "parker.error" {
				t.Errorf("heard %+.80v", e)
			}
			ends(t, s)
		})
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
