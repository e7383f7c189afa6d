package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// holdSite returns a site that holds for messages only, in front of the given handlers.
func holdSite(options, behind string) string {
	return `
http://{$SITE} {
	parker {
		hold messages
		` + options + `
	}
	` + behind + `
}
http://{$HOOK} {
	parker_publish
}
`
}

// position returns the current position of the broker.
func position(t *testing.T, caddy *caddytest.Caddy) string {
	t.Helper()
	report := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/news", "").Body
	_, rest, _ := strings.Cut(report, `"position":"`)
	at, _, _ := strings.Cut(rest, `"`)
	return at
}

func TestHistoryHoldsForMessagesWithoutBackend(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]string{"a backend": "reverse_proxy {$BACKEND}", "none": "", "respond": "respond nothing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caddy, backend := startScripted(t, holdSite("timeout 5s", behind))
			target := "http://" + caddy.Site + "/news"
			caddy.Publish(t, "news", "", "before")
			before := position(t, caddy)

			parked := caddytest.Get(t.Context(), target)
			caddy.AwaitWaiting(t, "news", 1)
			if p := caddy.PublishWith(t, "news", ""); p.Released != 0 {
				t.Errorf("a wake-up released %d", p.Released)
			}
			g := <-parked
			if g.Status != http.StatusNoContent || g.Body != "" || g.Release() != "timeout" || g.Header.Get("Last-Event-ID") != before || g.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("the answer at the timeout is %+v, want the position %s", g, before)
			}
			missed := caddy.PublishWith(t, "news", "missed").Position
			g = caddytest.Do(t.Context(), http.MethodGet, target, "", "Last-Event-ID: "+g.Header.Get("Last-Event-ID"))
			if g.Body != "missed" || g.Release() != "history" || g.Header.Get("Last-Event-ID") != missed {
				t.Errorf("the next poll was answered %+v", g)
			}
			if g := resumed(t, caddy, missed); g.Status != http.StatusNoContent || g.Release() != "none" || g.Header.Get("Last-Event-ID") != missed {
				t.Errorf("a poll with Prefer: wait=0 was answered %+v", g)
			}
			s := caddytest.Listen(t, target, "Last-Event-ID: "+before)
			hearsAt(t, s, "missed", missed)
			parked = caddytest.Get(t.Context(), target, "Last-Event-ID: "+missed)
			caddy.AwaitWaiting(t, "news", 1)
			caddy.Publish(t, "news", "", "")
			last := caddy.PublishWith(t, "news", "at last").Position
			if g := <-parked; g.Body != "at last" || g.Release() != "message" || g.Header.Get("Last-Event-ID") != last {
				t.Errorf("after a message, the poll was answered %+v", g)
			}
			hearsAt(t, s, "at last", last)
			backend.Unasked(t)
		})
	}
}

func TestHistoryTimeoutStatusIsConfigurable(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			caddy := caddytest.Start(t, holdSite("timeout 100ms "+strconv.Itoa(status), ""), "127.0.0.1:1")
			now := position(t, caddy)
			g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "")
			if g.Status != status || g.Release() != "timeout" || g.Header.Get("Last-Event-ID") != now {
				t.Errorf("the answer at the timeout is %+v, want the position %s", g, now)
			}
		})
	}
}

func TestHistoryLostPositionGetsBackendsFullState(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	for behind, want := range map[string]string{
		"reverse_proxy {$BACKEND}":           "state of the backend",
		"respond `state of respond`":         "state of respond",
		"":                                   "",
		"handle /elsewhere {\nrespond no\n}": "",
	} {
		t.Run(behind, func(t *testing.T) {
			t.Parallel()
			pages.Put("/news", caddytest.Page{Body: "state of the backend"})
			caddy := caddytest.Start(t, holdSite("", behind), pages.Address)
			caddy.Publish(t, "news", "", "before")
			now := position(t, caddy)
			lost := caddytest.OtherEpoch(now)
			target := "http://" + caddy.Site + "/news"
			status := http.StatusOK
			if want == "" {
				status = http.StatusNoContent
			}
			for range 2 {
				g := caddytest.Do(t.Context(), http.MethodGet, target, "", "Last-Event-ID: "+lost)
				if g.Status != status || g.Body != want || g.Release() != "none" || g.Header.Get("Parker-Recovered") != "false" || g.Header.Get("Last-Event-ID") != now {
					t.Errorf("a poll was answered %+v", g)
				}
			}
			s := caddytest.Listen(t, target, "Last-Event-ID: "+lost)
			if e := s.Next(t); e.Type != "parker.reset" || e.ID != now {
				t.Errorf("a stream begins with %+v", e)
			}
			if want != "" {
				hearsAt(t, s, want, now)
			}
			next := caddy.PublishWith(t, "news", "next").Position
			hearsAt(t, s, "next", next)
		})
	}
}

func TestHistoryLostPositionPassesOnBackendRefusal(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, holdSite("", "reverse_proxy {$BACKEND}"), pages.Address)
	lost := caddytest.OtherEpoch(position(t, caddy))
	for _, status := range []int{302, 401, 403, 500} {
		pages.Put("/news", caddytest.Page{Status: status, Body: "refused"})
		if g := resumed(t, caddy, lost); g.Status != status || g.Header.Get("Parker-Recovered") != "" || g.Header.Get("Last-Event-ID") != "" {
			t.Errorf("the poll was answered %+v, want the refusal", g)
		}
	}
}
