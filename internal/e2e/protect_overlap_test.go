package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestOverlappingHandlersHoldRequestOnce(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker outer
	route /api/* {
		parker /api/chat chat
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
`))
	url := "http://" + caddy.Site + "/api/chat"
	var all []<-chan caddytest.Answer
	for i := range 6 {
		all = append(all, caddytest.Get(t.Context(), url, "X-Client: "+string(rune('a'+i))))
		backend.Next(t).Answer(http.StatusOK, "[]")
	}
	caddy.AwaitWaiting(t, "chat", 6)
	if a := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/outer", ""); !strings.Contains(a.Body, `"waiting":0`) {
		t.Errorf("on the outer channel: %s", a.Body)
	}
	caddy.Publish(t, "chat", "", "")
	for range all {
		backend.Next(t).Answer(http.StatusOK, "news")
	}
	for _, answers := range all {
		a := answerIn(t, answers)
		if a.Body != "news" || len(a.Header["Parker-Status"]) != 1 || a.Release() != "replay" {
			t.Errorf("answered %+v", a)
		}
	}
	// A request that only the outer handler matches is held there.
	other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/api/users")
	backend.Next(t).Answer(http.StatusOK, "[]")
	caddy.AwaitWaiting(t, "outer", 1)
	caddy.Publish(t, "outer", "text/plain", "hello")
	expect(t, "hello", "", other)
}

func TestOverlappingHandlersPassRequestOnAtReload(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	site := withHook(`
	parker outer {
		name outer{$REVISION}
		look_again off
	}
	route /api/* {
		parker /api/chat chat {
			look_again off
		}
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
`)
	caddy := caddytest.Start(t, site, backend.Address, "REVISION=0")
	url := "http://" + caddy.Site + "/api/chat"
	answers := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(http.StatusOK, "[]")
	go func() { (<-backend.Asks()).Answer(http.StatusOK, "[]") }()
	stream := caddytest.Listen(t, url)
	caddy.AwaitWaiting(t, "chat", 1)
	for i := range 3 {
		caddy.Reload(t, strings.ReplaceAll(site, "{$REVISION}", fmt.Sprint(i+1)))
		caddy.Publish(t, "chat", "", "")
		for range 2 {
			ask := backend.Next(t)
			if !strings.Contains(ask.Request.Header.Get("Accept"), "event-stream") {
				ask.Answer(http.StatusOK, "[]")
			} else {
				ask.Answer(http.StatusOK, fmt.Sprint("event ", i))
			}
		}
		hears(t, stream, fmt.Sprint("event ", i))
		caddy.AwaitWaiting(t, "chat", 1)
	}
	caddy.Publish(t, "chat", "text/plain", "hello")
	if a := answerIn(t, answers); a.Body != "hello" || len(a.Header["Parker-Status"]) != 1 {
		t.Errorf("answered %+v", a)
	}
}
