package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestOptionsBehaveTheSameInJSON(t *testing.T) {
	t.Parallel()
	for form, start := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewPages(t)
			backend.Put("/feed", caddytest.Page{Body: `{"items":[],"time":1}`})
			optionsAreInForce(t, start(t, `
{
	{$GLOBAL}
	parker {
		history     10 1m
		max_parked  2
		max_message 1KB
	}
}
http://{$SITE} {
	parker_notify /written news {
		methods GET
		status  204
	}
	parker /feed news {
		methods     GET POST
		nothing_new {
			json /items []
		}
		timeout     30s 299
		share       public
		asks        2
		answer      replay
	}
	respond /written 204
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish /guarded/* {
		token {env.TOKEN}
		allow 127.0.0.0/8
	}
	parker_publish
}
`, backend.Address, "TOKEN=hook-secret"), backend)
		})
	}
}

func optionsAreInForce(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Pages) {
	feed, hook := "http://"+caddy.Site+"/feed", "http://"+caddy.Hook
	if given := caddytest.Do(t.Context(), http.MethodGet, feed, "", "Prefer: wait=1"); given.Status != 299 || given.Release() != "timeout" {
		t.Errorf("at the timeout a poll was answered %+v", given)
	}

	first, second := caddytest.Get(t.Context(), feed), caddytest.Get(t.Context(), feed)
	caddy.AwaitWaiting(t, "news", 2)
	if given := caddytest.Do(t.Context(), http.MethodPost, feed, ""); given.Release() != "full" || given.Body != `{"items":[],"time":1}` {
		t.Errorf("the third poll was answered %+v", given)
	}
	backend.Put("/feed", caddytest.Page{Body: `{"items":[1]}`})
	expect(t, "", "", caddytest.Get(t.Context(), "http://"+caddy.Site+"/written"))
	expect(t, `{"items":[1]}`, "replay", first, second)

	backend.Put("/feed", caddytest.Page{Body: `{"items":[]}`})
	parked := caddytest.Get(t.Context(), feed)
	caddy.AwaitWaiting(t, "news", 1)
	backend.Put("/feed", caddytest.Page{Body: `{"items":[2]}`})
	caddy.Publish(t, "news", "", "a message")
	expect(t, `{"items":[2]}`, "replay", parked)

	for _, use := range []struct {
		body, header string
		status       int
	}{
		{"", "Authorization: Bearer hook-secret", http.StatusOK},
		{"", "Authorization: Bearer {env.TOKEN}", http.StatusUnauthorized},
		{"", "X-None: yes", http.StatusUnauthorized},
		{strings.Repeat("a", 1001), "Authorization: Bearer hook-secret", http.StatusRequestEntityTooLarge},
	} {
		if given := caddytest.Do(t.Context(), http.MethodPost, hook+"/guarded/news", use.body, use.header); given.Status != use.status {
			t.Errorf("with %s the hook answered %+v, want %d", use.header, given, use.status)
		}
	}
}
