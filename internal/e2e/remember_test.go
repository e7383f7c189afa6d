package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// state is a page that returns its whole state with each answer.
func state(body string) caddytest.Page {
	return caddytest.Page{Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, Body: body}
}

// tab sends what the pages of one browser send.
type tab struct {
	t     *testing.T
	caddy *caddytest.Caddy
	own   []string // header fields
}

func newTab(t *testing.T, caddy *caddytest.Caddy, cookie string) tab {
	own := []string{"User-Agent: Browser", "Sec-Fetch-Site: same-origin"}
	if cookie != "" {
		own = append(own, "Cookie: "+cookie)
	}
	return tab{t, caddy, own}
}

func (b tab) poll(path string, header ...string) <-chan caddytest.Answer {
	return caddytest.Get(b.t.Context(), "http://"+b.caddy.Site+path, append(header, b.own...)...)
}

// polls polls, and expects to be answered at once with a body, for this reason.
func (b tab) polls(path, body, detail string, header ...string) {
	b.t.Helper()
	if a := <-b.poll(path, header...); a.Body != body || a.Header.Get("Parker-Status") != "parker; park=0.0; release=none; detail="+detail {
		b.t.Errorf("a poll was answered %+v", a)
	}
}

// pollUntilHeld polls until a poll is parked.
func (b tab) pollUntilHeld(path string, header ...string) (held <-chan caddytest.Answer) {
	b.t.Helper()
	held = b.poll(path, header...)
	caddytest.Await(b.t, "a poll is parked", func() bool {
		select {
		case <-held:
			held = b.poll(path, header...)
			return false
		default:
			report := caddytest.Do(b.t.Context(), http.MethodGet, "http://"+b.caddy.Hook+path, "").Body
			return strings.Contains(report, `"waiting":1,`)
		}
	})
	return held
}

// load loads a page.
func (b tab) load(path string) caddytest.Answer {
	return <-caddytest.Get(b.t.Context(), "http://"+b.caddy.Site+path, append(b.own, "Sec-Fetch-Dest: document")...)
}

const rememberSite = "parker_notify\nparker /state {\nlook_again off\nnothing_new {\nunchanged\nremember\n}\n}\nreverse_proxy {$BACKEND}"

func startState(t *testing.T) (*caddytest.Caddy, *caddytest.Pages) {
	t.Helper()
	pages := caddytest.NewPages(t)
	pages.Put("/state", state(`{"jobs":1}`))
	return caddytest.Start(t, withHook(rememberSite), pages.Address), pages
}

func TestRememberHoldsWholeStateUntilItChanges(t *testing.T) {
	t.Parallel()
	caddy, pages := startState(t)
	page := newTab(t, caddy, "id=1")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	held := page.poll("/state")
	caddy.AwaitWaiting(t, "state", 1)
	caddy.Publish(t, "state", "", "") // nothing has changed
	caddytest.Await(t, "the backend was asked again", func() bool { return pages.Asks("/state") == 3 })
	caddy.AwaitWaiting(t, "state", 1)
	pages.Put("/state", state(`{"jobs":2}`))
	caddy.Publish(t, "state", "", "")
	expect(t, `{"jobs":2}`, "replay", held)

	// For a moment, another page of the browser may have waited for that answer.
	page.polls("/state", `{"jobs":2}`, "news")
	held = page.pollUntilHeld("/state")
	// Another page of the browser uses no memory of the first. Nor does another browser.
	page.polls("/state", `{"jobs":2}`, "unknown client")
	newTab(t, caddy, "id=2").polls("/state", `{"jobs":2}`, "unknown client")
	newTab(t, caddy, "").polls("/state", `{"jobs":2}`, "unknown client")
	newTab(t, caddy, "").polls("/state", `{"jobs":2}`, "unknown client")
	foreign := newTab(t, caddy, "id=1")
	foreign.own[1] = "Sec-Fetch-Site: cross-site"
	foreign.polls("/state", `{"jobs":2}`, "unknown client")
	foreign.polls("/state", `{"jobs":2}`, "unknown client")
	_ = held
}

func TestRememberEndsWithPageLoad(t *testing.T) {
	t.Parallel()
	caddy, pages := startState(t)
	pages.Put("/", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"public, max-age=3600"}}, Body: "<p>"})
	page := newTab(t, caddy, "id=1; lang=en")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	held := page.poll("/state")
	caddy.AwaitWaiting(t, "state", 1)
	other := newTab(t, caddy, "id=2; lang=en")
	other.polls("/state", `{"jobs":1}`, "unknown client")
	others := other.poll("/state")
	caddy.AwaitWaiting(t, "state", 2)

	if a := page.load("/"); a.Header.Get("Cache-Control") != "no-cache, public" {
		t.Errorf("the page was loaded with %q", a.Header)
	}
	expect(t, `{"jobs":1}`, "timeout", held)
	// The pages of the browser are held for a moment at most.
	page.polls("/state", `{"jobs":1}`, "news")
	for range 3 {
		expect(t, `{"jobs":1}`, "timeout", page.poll("/state"))
	}
	caddy.Publish(t, "state", "", "other")
	expect(t, "other", "message", others)
}

func TestTimerKeepsOnePollOfBrowserParked(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/state", state(`{"jobs":1}`))
	caddy := caddytest.Start(t, withHook("parker_notify\nparker /state {\ntimer\nlook_again off\nnothing_new {\nunchanged\nremember\n}\n}\nreverse_proxy {$BACKEND}"), pages.Address)
	page := newTab(t, caddy, "id=1")
	page.own = append(page.own, "Cache-Control: no-cache") // the polls do not wait for each other in the browser
	page.polls("/state", `{"jobs":1}`, "unknown client")
	older := page.poll("/state")
	caddy.AwaitWaiting(t, "state", 1)
	for range 5 {
		newer := page.poll("/state")
		expect(t, `{"jobs":1}`, "timeout", older)
		caddy.AwaitWaiting(t, "state", 1)
		older = newer
	}
	if asks := pages.Asks("/state"); asks != 2 {
		t.Errorf("the backend was asked %d times, want twice", asks)
	}
	pages.Put("/state", state(`{"jobs":2}`))
	caddytest.Do(context.Background(), http.MethodPost, "http://"+caddy.Site+"/state", "")
	expect(t, `{"jobs":2}`, "replay", older)
	newTab(t, caddy, "").polls("/state", `{"jobs":2}`, "unknown client")
}

// A browser keeps one answer for all its pages, and makes their polls wait for each other
// (Chromium's cache). So a page may lack the answer that its poll's If-None-Match names.
func TestUnchangedAnswersPagesThatWaitedInTheirBrowser(t *testing.T) {
	t.Parallel()
	caddy, pages := startState(t)
	put := func(body, etag string) string {
		whole := state(body)
		if etag != "" {
			whole.Header = whole.Header.Clone()
			whole.Header.Set("Etag", etag)
		}
		pages.Put("/state", whole)
		return etag
	}
	for name, etags := range map[string][2]string{"tags of parker": {}, "tags of the backend": {`"1"`, `"2"`}} {
		page := newTab(t, caddy, "id="+strings.ReplaceAll(name, " ", ""))
		etag := put(`{"jobs":1}`, etags[0])
		if etag == "" {
			etag = (<-page.poll("/state")).Header.Get("ETag")
		}
		held := page.poll("/state", "If-None-Match: "+etag)
		caddy.AwaitWaiting(t, "state", 1)
		put(`{"jobs":2}`, etags[1])
		caddy.Publish(t, "state", "", "")
		second := <-held
		if second.Body != `{"jobs":2}` {
			t.Fatalf("%s: the poll was answered %+v", name, second)
		}
		condition := "If-None-Match: " + second.Header.Get("ETag")
		for range 3 {
			if a := <-page.poll("/state", condition); a.Release() != "none" {
				t.Errorf("%s: another page's poll was answered %+v", name, a)
			}
		}
		held = page.pollUntilHeld("/state", condition)
		caddy.Publish(t, "state", "", "over")
		expect(t, "over", "message", held)
	}
}

// A tab has closed, and what it had is still remembered when the state changes.
func TestRememberKeepsLoopFromSpinningWhileMemoriesDiffer(t *testing.T) {
	t.Parallel()
	caddy, pages := startState(t)
	page := newTab(t, caddy, "id=1")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	held := page.poll("/state")
	caddy.AwaitWaiting(t, "state", 1)
	page.polls("/state", `{"jobs":1}`, "unknown client") // of the other tab
	ctx, closeTab := context.WithCancel(t.Context())
	caddytest.Get(ctx, "http://"+caddy.Site+"/state", page.own...)
	caddy.AwaitWaiting(t, "state", 2)
	closeTab()
	caddy.AwaitWaiting(t, "state", 1)
	pages.Put("/state", state(`{"jobs":2}`))
	caddy.Publish(t, "state", "", "")
	expect(t, `{"jobs":2}`, "replay", held)
	// For a moment, the other tab may wait in its browser.
	asks := 0
	held = page.poll("/state")
	for ; (<-held).Release() == "none" && asks < 20; asks++ {
		held = page.poll("/state")
	}
	if asks > 8 {
		t.Errorf("%d polls were answered at once", asks)
	}
	for range 2 {
		expect(t, `{"jobs":2}`, "timeout", page.poll("/state"))
	}
	page.load("/")
	if a := <-page.poll("/state"); a.Release() != "none" {
		t.Errorf("the first poll of a page was answered %+v", a)
	}
}

// Each replay of a write would be one more.
func TestWriteForWhichNotifyPublishesIsNotHeld(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, withHook("parker_notify /news\nparker /news {\nmethods GET POST\n}\nreverse_proxy {$BACKEND}"))
	a := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/news", "vote")
	if status := a.Header.Get("Parker-Status"); status != "parker; park=0.0; release=none; detail=write" {
		t.Errorf("the write was answered %+v", a)
	}
}

func TestPageLoadWithoutCookieEndsNoPolls(t *testing.T) {
	t.Parallel()
	caddy, pages := startState(t)
	pages.Put("/", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<p>"})
	page := newTab(t, caddy, "id=1")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	held := page.pollUntilHeld("/state")
	newTab(t, caddy, "").load("/")
	newTab(t, caddy, "id=2").load("/")
	caddy.Publish(t, "state", "", "over")
	expect(t, "over", "message", held)
}

// The state has changed, and nothing was published.
func TestTimerAnswersLoadedPageAnew(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/state", state(`{"jobs":1}`))
	pages.Put("/", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<p>"})
	caddy := caddytest.Start(t, withHook(strings.Replace(rememberSite, "look_again off", "look_again off\ntimer", 1)), pages.Address)
	page := newTab(t, caddy, "id=1")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	held := page.pollUntilHeld("/state")
	pages.Put("/state", state(`{"jobs":2}`))
	page.load("/")
	<-held
	if a := <-page.poll("/state"); a.Body != `{"jobs":2}` {
		t.Errorf("the loaded page's poll was answered %+v", a)
	}
}
