package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// By default the channel is the path, decoded once, for a poll, a write and the hook
// alike.
func TestChannelsDefaultToPathDecodedOnce(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	for path, channel := range map[string]string{
		"/rooms/7":             "rooms/7",
		"/rooms/7/":            "rooms/7/",
		"/rooms/a%20b":         "rooms/a b",
		"/rooms/a+b?room=c":    "rooms/a+b",
		"/rooms/a%2Fb":         "rooms/a/b",
		"/rooms/100%2525":      "rooms/100%25",
		"/rooms/caf%C3%A9":     "rooms/café",
		"/rooms/%7Bhost%7D":    "rooms/{host}",
		"/rooms/%F0%9F%9A%97;": "rooms/🚗;",
		"//rooms//7":           "/rooms//7",
	} {
		for _, publish := range []func(){
			func() {
				answered := startWrite(t, caddy, http.MethodPost, path)
				backend.Next(t).Answer(204, "")
				<-answered
			},
			func() { caddy.Publish(t, "?channel="+url.QueryEscape(channel), "", "") },
		} {
			parked := caddytest.Get(t.Context(), "http://"+caddy.Site+path)
			backend.Next(t).Answer(200, "[]")
			caddy.AwaitWaiting(t, "?channel="+url.QueryEscape(channel), 1)
			publish()
			awaitRelease(t, backend, parked)
		}
	}
}

// Nothing can be published without a valid channel, and the request is passed on.
func TestNotifyPassesOnWriteWithoutValidChannel(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	before := events(t, caddy)
	for _, path := range []string{"/", "/rooms/%00", "/rooms/%FF", "/" + strings.Repeat("x", 256)} {
		answered := startWrite(t, caddy, http.MethodPost, path)
		backend.Next(t).Answer(204, "")
		expect(t, "", "", answered)
	}
	if now := eventsIn(t, caddy.Publish(t, "feed", "", "")); now != before+1 {
		t.Errorf("there were %d events", now-before-1)
	}
}

// The route rewrites behind parker and parker_notify, which use the original request.
func TestChannelsUsePathBeforeRewrite(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker_notify /rooms/*
	parker /rooms/*
	handle_path /rooms/* {
		rewrite * /index.php?room={path}
		method PUT
		reverse_proxy {$BACKEND}
	}
`))
	is := func(ask *caddytest.Ask, want string) *caddytest.Ask {
		t.Helper()
		if got := ask.Request.Method + " " + ask.Request.RequestURI; got != want {
			t.Errorf("the backend was asked %s, want %s", got, want)
		}
		return ask
	}
	for range 2 {
		parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/rooms/7")
		is(backend.Next(t), "PUT /index.php?room=%2F7").Answer(200, "[]")
		caddy.AwaitWaiting(t, "rooms/7", 1)
		answered := startWrite(t, caddy, http.MethodPost, "/rooms/7")
		is(backend.Next(t), "PUT /index.php?room=%2F7").Answer(303, "", "Location: /rooms/7")
		<-answered
		is(backend.Next(t), "PUT /index.php?room=%2F7").Answer(200, "[1]")
		expect(t, "[1]", "replay", parked)
	}
}

func TestNotifyFillsChannelsFromPlaceholders(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker_notify /send room/{query.room} user/{header.X-User} all room/{query.room}
	parker /room room/{query.room}
	parker /user user/{cookie.user}
	parker /all all
	reverse_proxy {$BACKEND}
`))
	url := "http://" + caddy.Site
	parked := []<-chan caddytest.Answer{
		caddytest.Get(t.Context(), url+"/room?room=a%20b"), caddytest.Get(t.Context(), url+"/user", "Cookie: user=ann"), caddytest.Get(t.Context(), url+"/all"),
	}
	others := []<-chan caddytest.Answer{
		caddytest.Get(t.Context(), url+"/room?room=a"), caddytest.Get(t.Context(), url+"/user", "Cookie: user=bob"),
	}
	for range len(parked) + len(others) {
		backend.Next(t).Answer(200, "[]")
	}
	for channel, n := range map[string]int{"room/a%20b": 1, "room/a": 1, "user/ann": 1, "user/bob": 1, "all": 1} {
		caddy.AwaitWaiting(t, channel, n)
	}
	before := events(t, caddy)
	written := make(chan caddytest.Answer, 1)
	go func() {
		written <- caddytest.Do(t.Context(), http.MethodPost, url+"/send?room=a%20b", "text", "X-User: ann")
	}()
	backend.Next(t).Answer(204, "")
	<-written
	for range parked {
		backend.Next(t).Answer(200, "[1]")
	}
	expect(t, "[1]", "replay", parked...)
	if now := events(t, caddy); now != before+len(parked) {
		t.Errorf("there were %d events", now-before)
	}
	caddy.AwaitWaiting(t, "room/a", 1)
	caddy.AwaitWaiting(t, "user/bob", 1)
	for _, channel := range []string{"room/a", "user/bob"} {
		caddy.Publish(t, channel, "", "bye")
	}
	expect(t, "bye", "", others...)
}
