package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// lostSite keeps a short history, in number, age and bytes.
const lostSite = `{
	{$GLOBAL}
	parker {
		history {$HISTORY}
	}
}
http://{$SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

// waysToLosePosition are the ways in which a position becomes unknown to the broker.
var waysToLosePosition = map[string]struct {
	history string
	lose    func(t *testing.T, caddy *caddytest.Caddy) (position string)
}{
	"more messages than are kept": {"2 10m", func(t *testing.T, caddy *caddytest.Caddy) string {
		return publishMessages(t, caddy, 3, "m")
	}},
	"the message is too old": {"100 1s", func(t *testing.T, caddy *caddytest.Caddy) string {
		position := publishMessages(t, caddy, 1, "m")
		caddytest.Await(t, "the message is forgotten", func() bool {
			return resumed(t, caddy, position).Header.Get("Parker-Recovered") == "false"
		})
		return position
	}},
	"the history is full": {"100 10m 50KB", func(t *testing.T, caddy *caddytest.Caddy) string {
		return publishMessages(t, caddy, 3, strings.Repeat("m", 20_000))
	}},
	"other channels filled the history": {"100 10m 50KB", func(t *testing.T, caddy *caddytest.Caddy) string {
		position := publishMessages(t, caddy, 1, "m")
		for i := range 3 {
			caddy.Publish(t, fmt.Sprint("other/", i), "", strings.Repeat("m", 20_000))
		}
		return position
	}},
	"the position of another process": {"100 10m", func(t *testing.T, caddy *caddytest.Caddy) string {
		publishMessages(t, caddy, 3, "m")
		another := caddytest.Start(t, newsSite(""), "127.0.0.1:1")
		return another.PublishWith(t, "news", "m").Position
	}},
	"a position in the future": {"100 10m", func(t *testing.T, caddy *caddytest.Caddy) string {
		return publishMessages(t, caddy, 3, "m") + "0"
	}},
}

// publishMessages publishes n messages and returns the position before them.
func publishMessages(t *testing.T, caddy *caddytest.Caddy, n int, body string) string {
	t.Helper()
	position := caddy.PublishWith(t, "news", "before").Position
	for range n {
		caddy.Publish(t, "news", "", body)
	}
	return position
}

func TestHistoryReportsEveryUnknownPosition(t *testing.T) {
	t.Parallel()
	for name, way := range waysToLosePosition {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages := caddytest.NewPages(t)
			pages.Put("/news", emptyList)
			caddy := caddytest.Start(t, lostSite, pages.Address, "HISTORY="+way.history)
			position := way.lose(t, caddy)
			target := "http://" + caddy.Site + "/news"
			now := caddy.PublishWith(t, "elsewhere", "").Position

			expect := func(what, body string, g caddytest.Answer) {
				t.Helper()
				if g.Status != http.StatusOK || g.Body != body || g.Release() != "none" || g.Header.Get("Parker-Recovered") != "false" || g.Header.Get("Last-Event-ID") != now {
					t.Errorf("%s: got %+v, want %q and the position %s", what, g, body, now)
				}
			}
			expect("nothing new", "[]", caddytest.Do(t.Context(), http.MethodGet, target, "", "Last-Event-ID: "+position))
			expect("nothing new, not to be held", "[]", resumed(t, caddy, position))
			expect("nothing new, batch", "[]", caddytest.Do(t.Context(), http.MethodGet, target+"?batch=true", "", "Accept: application/json", "Last-Event-ID: "+position))
			if g := resumed(t, caddy, now); g.Body != "[]" || g.Header.Get("Parker-Recovered") != "" {
				t.Errorf("the next poll was answered %+v", g)
			}
			for _, status := range []int{401, 403, 404, 500} {
				pages.Put("/news", caddytest.Page{Status: status, Body: "refused"})
				for _, at := range []string{position, now} {
					if g := resumed(t, caddy, at); g.Status != status || g.Body != "refused" || g.Header.Get("Parker-Recovered") != "" || g.Header.Get("Last-Event-ID") != "" {
						t.Errorf("after %s, the poll was answered %+v, want the refusal", at, g)
					}
				}
			}
			pages.Put("/news", caddytest.Page{Body: "full state"})
			expect("news", "full state", caddytest.Do(t.Context(), http.MethodGet, target, "", "Last-Event-ID: "+position))

			s := caddytest.Listen(t, target, "Last-Event-ID: "+position)
			if s.Header.Get("Parker-Recovered") != "false" {
				t.Errorf("a stream begins with %v", s.Header)
			}
			if e := s.Next(t); e.Type != "parker.reset" || e.ID != now {
				t.Errorf("a stream begins with %+v", e)
			}
			hearsAt(t, s, "full state", now)
			next := caddy.PublishWith(t, "news", "next").Position
			hearsAt(t, s, "next", next)
		})
	}
}

func TestHistoryIsWithheldWhenBackendRefuses(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	caddy.Publish(t, "news", "", "missed")
	for _, status := range []int{302, 401, 403, 404, 500} {
		pages.Put("/news", caddytest.Page{Status: status, Header: http.Header{"Location": {"/login"}}, Body: "refused"})
		for form, g := range map[string]caddytest.Answer{
			"a poll":   resumed(t, caddy, at),
			"a batch":  caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news?batch=true", "", "Accept: application/json", "Last-Event-ID: "+at),
			"a stream": caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Accept: text/event-stream", "Last-Event-ID: "+at),
		} {
			if g.Status != status || g.Body != "refused" || g.Header.Get("Last-Event-ID") != "" || g.Release() != "none" || g.Header.Get("Content-Type") == "text/event-stream" {
				t.Errorf("%s was answered %+v", form, g)
			}
		}
	}
}
