package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestSupersedeHandsUndeliveredMessageToNewerPoll(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker /news {
		supersede {header.X-Page}
	}
	reverse_proxy {$BACKEND}
`))
	url := "http://" + caddy.Site + "/news"
	older := caddytest.Get(t.Context(), url, "X-Page: 1")
	backend.Next(t).Answer(http.StatusOK, "[]")
	caddy.AwaitWaiting(t, "news", 1)
	caddy.Publish(t, "news", "", "")
	replay := backend.Next(t)
	caddy.Publish(t, "news", "text/plain", "hello") // while the older poll asks
	newer := caddytest.Get(t.Context(), url+"?newer", "X-Page: 1")
	first := backend.Next(t)
	replay.Answer(http.StatusOK, "[]")
	expect(t, "[]", "timeout", older)
	first.Answer(http.StatusOK, "[]")
	expect(t, "hello", "message", newer)
}

func TestWatchWakesAllWhenNewsSetsCookie(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker /news {
		watch 4s
	}
	reverse_proxy {$BACKEND}
`))
	var streams []*caddytest.Stream
	for range 2 {
		go func() { (<-backend.Asks()).Answer(http.StatusOK, "[]") }()
		streams = append(streams, caddytest.Listen(t, "http://"+caddy.Site+"/news"))
	}
	backend.Next(t).Answer(http.StatusOK, "news", "Set-Cookie: session=2")
	begin := time.Now()
	backend.Next(t).Answer(http.StatusOK, "news", "Set-Cookie: session=2")
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the other stream asked only %s later, in its own watch interval", took)
	}
	for _, stream := range streams {
		hears(t, stream, "news")
	}
}

func TestLimitsMaxParkedBoundsBytesHeld(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, `
{
	{$GLOBAL}
	parker {
		max_parked 100 100KB
	}
}
http://{$SITE} {
	parker /news {
		methods GET POST
	}
	parker /big news {
		share public
		reuse 50s
	}
	respond /big "`+strings.Repeat(" ", 50_000)+`"
	respond "[]"
}
http://{$HOOK} {
	parker_publish
}
`, "")
	url := "http://" + caddy.Site + "/news"
	body := strings.Repeat("x", 30_000)
	do := func(method, url, body string) <-chan caddytest.Answer {
		answers := doLater(t, method, url, body)
		return answers
	}
	for i := range 3 {
		do(http.MethodPost, url, body)
		caddy.AwaitWaiting(t, "news", i+1)
	}
	expect(t, "[]", "full", do(http.MethodPost, url, body))
	expectLogged(t, caddy, "the size of max_parked is reached", 1)
	small := do(http.MethodGet, url, "")
	caddy.AwaitWaiting(t, "news", 4)
	caddy.Publish(t, "news", "text/plain", "hello")
	answerIn(t, small)

	// There is room again, and a shared answer counts once.
	for i := range 20 {
		do(http.MethodGet, "http://"+caddy.Site+"/big", "")
		caddy.AwaitWaiting(t, "news", i+1)
	}
	if a := answerIn(t, do(http.MethodPost, url, strings.Repeat("x", 50_000))); a.Release() != "full" {
		t.Errorf("beyond the limit again, the poll was answered %+v", a)
	}
}
