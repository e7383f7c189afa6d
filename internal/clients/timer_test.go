package clients

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// timerPage polls by a timer, even if the last poll has not been answered, as pages
// written for plain polling do.
const timerPage = `<!doctype html>
<script>
document.cookie = %q
setInterval(() => fetch("/news?_=" + Math.random(), {cache: "no-store"}), 300)
</script>
<a href="/other">another page</a>`

// loopPage polls again as soon as its poll is answered.
const loopPage = `<!doctype html>
<script>
document.cookie = "session=1"
let polls = 0
async function poll() {
	for (;;) {
		await fetch("/news?tab=" + location.search, {cache: "no-store"})
		polls++
	}
}
poll()
poll()
</script>`

// legacyPages serves the pages and counts the asks for news.
type legacyPages struct {
	cookie string // that the timer's page has
	asks   atomic.Int32
}

func (s *legacyPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/timer":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, timerPage, s.cookie)
	case "/loop":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, loopPage)
	case "/news":
		s.asks.Add(1)
		fmt.Fprint(w, "[]")
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<h1>here</h1>")
	}
}

const legacySite = `
http://{$SITE} {
	parker_notify /news
	parker /news
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// newTab opens a tab of a browser at the URL.
func newTab(t *testing.T, opener context.Context, url string, options ...chromedp.ContextOption) context.Context {
	t.Helper()
	ctx, leave := chromedp.NewContext(opener, options...)
	t.Cleanup(leave)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestPerBrowserKeepsTimerPageResponsive(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	for name, cookie := range map[string]string{"with a cookie": "session=1", "without a cookie": ""} {
		t.Run(name, func(t *testing.T) { isTimerPageResponsive(t, chromium, cookie) })
	}
}

func isTimerPageResponsive(t *testing.T, chromium context.Context, cookie string) {
	backend := &legacyPages{cookie: cookie}
	caddy := caddytest.Start(t, legacySite, caddytest.Serve(t, backend.ServeHTTP))
	tab := newTab(t, chromium, "http://"+caddy.Site+"/timer", chromedp.WithNewBrowserContext())
	// Enough polls to take all six connections.
	caddytest.Await(t, "that the page has polled ten times", func() bool { return backend.asks.Load() >= 10 })
	ctx, cancel := context.WithTimeout(tab, 10*time.Second)
	defer cancel()
	heading, err := chromedp.Run(ctx, chromedp.Evaluate[string](`fetch("/other").then(r => r.text())`, chromedp.EvalAwaitPromise))
	if err != nil || heading != "<h1>here</h1>" {
		t.Errorf("another request of the page was answered %q, %v", heading, err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+caddy.Site+"/other")); err != nil {
		t.Errorf("loading the next page: %v", err)
	}
}

func TestPerBrowserLetsTwoLoopingTabsPollCalmly(t *testing.T) {
	chromium := browser(t)
	backend := new(legacyPages)
	caddy := caddytest.Start(t, legacySite, caddytest.Serve(t, backend.ServeHTTP))
	first := newTab(t, chromium, "http://"+caddy.Site+"/loop?1")
	newTab(t, first, "http://"+caddy.Site+"/loop?2")
	caddy.AwaitWaiting(t, "news", 4)
	before := backend.asks.Load()
	select {
	case <-time.After(4 * time.Second):
	case <-t.Context().Done():
	}
	if more := backend.asks.Load() - before; more != 0 {
		t.Errorf("the tabs polled %d times more", more)
	}
}
