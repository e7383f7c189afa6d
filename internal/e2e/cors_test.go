package e2e

import (
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// allowing is the header by which a backend admits pages of another origin.
var allowing = http.Header{
	"Access-Control-Allow-Origin": {"https://page.test"}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Expose-Headers": {"X-Legacy"},
	"Cross-Origin-Resource-Policy": {"cross-origin"}, "Timing-Allow-Origin": {"*"},
}

// allows checks that a page of another origin may read the answer.
func allows(t *testing.T, what string, g caddytest.Answer) {
	t.Helper()
	for name, values := range allowing {
		if got := g.Header[name]; len(got) != 1 || got[0] != values[0] {
			t.Errorf("%s has %s %q, want %q: %+v", what, name, got, values, g)
		}
	}
}

func TestCORSHeadersAreKeptOnTimeoutAndMessage(t *testing.T) {
	t.Parallel()
	for _, nothing := range []caddytest.Page{{Body: "[]"}, {Status: http.StatusNoContent}} {
		nothing.Header = maps.Clone(allowing)
		nothing.Header["X-Legacy"] = []string{"yes"}
		caddy, pages := startNews(t, newsSite("timeout 200ms 204"))
		pages.Put("/news", nothing)
		url := "http://" + caddy.Site + "/news"
		g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Origin: https://page.test")
		if g.Status != http.StatusNoContent || g.Release() != "timeout" || g.Header["X-Legacy"] != nil || g.Header["Etag"] != nil {
			t.Errorf("the answer at the timeout is %+v", g)
		}
		allows(t, "the answer at the timeout", g)
		at := caddy.PublishWith(t, "news", "before").Position
		caddy.Publish(t, "news", "", "message")
		allows(t, "a message", caddytest.Do(t.Context(), http.MethodGet, url, "", "Origin: https://page.test", "Last-Event-ID: "+at))
	}
}

func TestCORSHeadersAreKeptOnTimeoutWithBackendAway(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"", "503"} {
		caddy, backend := startScripted(t, newsSite("timeout 2s "+status))
		parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news", "Origin: https://page.test")
		var header []string
		for name, values := range allowing {
			header = append(header, name+": "+values[0])
		}
		backend.Next(t).Answer(http.StatusOK, "[]", header...)
		caddy.AwaitWaiting(t, "news", 1)
		caddy.Publish(t, "news", "", "")
		go func() {
			for {
				select {
				case ask := <-backend.Asks():
					ask.Answer(http.StatusServiceUnavailable, "away")
				case <-t.Context().Done():
					return
				}
			}
		}()
		g := <-parked
		if g.Release() != "error" {
			t.Errorf("the poll was answered %+v", g)
		}
		allows(t, "the answer", g)
	}
}

// There is no backend behind this route: only a handler sets the header.
func TestCORSHeadersOfRouteApplyWithoutBackend(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, withHook(`
	route {
		parker {
			hold messages
		}
		header Access-Control-Allow-Origin https://page.test
	}
`), "")
	lost := caddytest.OtherEpoch(position(t, caddy))
	g := resumed(t, caddy, lost)
	if g.Status != http.StatusNoContent || g.Header.Get("Parker-Recovered") != "false" || g.Header.Get("Access-Control-Allow-Origin") != "https://page.test" {
		t.Errorf("a client whose position is lost was answered %+v", g)
	}
}
