package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

var browserSite = withHook(`
	parker {
		{$OPTIONS}
	}
	respond "[]"
`)

func TestPerBrowserEndsOldestPollOfBrowser(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, browserSite, "", "OPTIONS=")
	poll := func(header ...string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/news?_="+fmt.Sprint(time.Now().UnixNano()), header...)
	}
	browser := []string{"Cookie: session=1", "User-Agent: x"}
	var polls []<-chan caddytest.Answer
	for range 4 {
		polls = append(polls, poll(browser...))
		caddy.AwaitWaiting(t, "news", len(polls))
	}
	polls = append(polls, poll(browser...))
	expect(t, "[]", "timeout", polls[0])
	caddy.AwaitWaiting(t, "news", 4)

	// Polls with another cookie, from another program or without a cookie are not
	// affected.
	for i := range 5 {
		poll("Cookie: session=2", "User-Agent: x")
		poll("Cookie: session=1", "User-Agent: y")
		poll("User-Agent: x")
		if i == 3 {
			caddy.AwaitWaiting(t, "news", 4+12)
		}
	}
	caddy.AwaitWaiting(t, "news", 4+4+4+5)
	for i, answers := range polls[1:] {
		select {
		case a := <-answers:
			t.Errorf("poll %d was answered %+v", i+1, a)
		default:
		}
	}
}

func TestPerBrowserAcceptsOtherNumberAndZero(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]int{"per_browser 1": 1, "per_browser 5": 5, "per_browser 0": 6} {
		t.Run(options, func(t *testing.T) {
			caddy := caddytest.Start(t, browserSite, "", "OPTIONS="+options)
			for range 6 {
				caddytest.Get(t.Context(), "http://"+caddy.Site+"/news", "Cookie: session=1")
			}
			caddy.AwaitWaiting(t, "news", want)
		})
	}
}

func TestPerBrowserSparesManySimilarBrowsers(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, browserSite, "", "OPTIONS=")
	const devices = 50
	answers := make(chan caddytest.Answer, 10_000)
	for range devices {
		go func() {
			for t.Context().Err() == nil {
				answers <- caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Cookie: lang=de")
			}
		}()
	}
	caddy.AwaitWaiting(t, "news", devices)
	// The first polls were taken for one browser, and some of them end. From then on all
	// polls are held, and none ends another.
	before := len(answers)
	for round := range 3 {
		if p := caddy.PublishWith(t, "news", "news"); p.Released != devices {
			t.Errorf("%d polls were released", p.Released)
		}
		caddy.AwaitWaiting(t, "news", devices)
		if early := len(answers) - before - (round+1)*devices; early > 2 {
			t.Errorf("%d polls ended early", early)
		}
	}
}

func TestPerBrowserAppliesToHTTP1Only(t *testing.T) {
	t.Parallel()
	caddy := caddytest.StartSecure(t, strings.Replace(browserSite, "http://{$SITE} {", "http://{$SITE}, https://{$TLS_SITE} {\nbind 127.0.0.1", 1), "", "OPTIONS=")
	client := caddy.Client(t, caddytest.HTTP2)
	for range 6 {
		client.Get(t.Context(), "/news", "Cookie: session=1")
	}
	caddy.AwaitWaiting(t, "news", 6)
}

func TestPerBrowserLeavesOneConnectionFreeAcrossPaths(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, strings.Replace(browserSite, "parker {", "parker /* news {", 1), "", "OPTIONS=")
	for i := range 6 {
		caddytest.Get(t.Context(), fmt.Sprintf("http://%s/rooms/%d", caddy.Site, i%2), "Cookie: session=1")
	}
	caddy.AwaitWaiting(t, "news", 5)
}
