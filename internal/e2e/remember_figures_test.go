package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// known are the figures of what clients are known to have.
type known struct{ held, passed, memories, loads float64 }

func (k known) check(t *testing.T, caddy *caddytest.Caddy, when string) {
	t.Helper()
	caddytest.Await(t, fmt.Sprintf("%s, the figures are %+v", when, k), func() bool {
		f := figures(t, caddy)
		return k == known{
			held:     f[`parker_unchanged_holds_total{handler=""}`],
			passed:   f[`parker_unknown_clients_total{handler=""}`],
			memories: f["parker_memories"],
			loads:    f["parker_page_loads_total"],
		}
	})
}

// parks polls until a poll is held, as on a busy machine a memory may be over before the next
// poll comes. It returns how many polls passed before.
func (b tab) parks(path, channel string) (held <-chan caddytest.Answer, passed float64) {
	b.t.Helper()
	for ; ; passed++ {
		held = b.poll(path)
		caddytest.Await(b.t, "the poll is parked or answered", func() bool {
			waiting := caddytest.Do(b.t.Context(), http.MethodGet, "http://"+b.caddy.Hook+"/"+channel, "").Body
			return len(held) > 0 || strings.Contains(waiting, `"waiting":1,`)
		})
		if len(held) == 0 {
			return held, passed
		}
	}
}

const figuresSite = "parker_status /status\nparker_notify\nparker {\nlook_again off\nnothing_new {\nunchanged\nremember\n}\n}\nreverse_proxy {$BACKEND}"

func TestFiguresOfKnownClientsCountEachPollOnce(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/state", state(`{"jobs":1}`))
	pages.Put("/page", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<p>"})
	caddy := caddytest.Start(t, withHook(figuresSite), pages.Address)
	page := newTab(t, caddy, "id=1")
	known{}.check(t, caddy, "before")
	page.polls("/state", `{"jobs":1}`, "unknown client")
	known{passed: 1, memories: 1}.check(t, caddy, "after a first poll")

	held, passed := page.parks("/state", "state")
	passed++
	asks := pages.Asks("/state")
	known{held: 1, passed: passed, memories: 1}.check(t, caddy, "when the second is parked")
	caddy.Publish(t, "state", "", "")
	caddytest.Await(t, "the backend was asked again", func() bool { return pages.Asks("/state") == asks+1 })
	caddy.AwaitWaiting(t, "state", 1)
	caddy.MustLoad(t, withHook(strings.Replace(figuresSite, "look_again off", "look_again off\ntimeout 50s", 1)))
	caddy.Publish(t, "state", "", "")
	caddytest.Await(t, "the backend was asked again after the reload", func() bool { return pages.Asks("/state") == asks+2 })
	caddy.AwaitWaiting(t, "state", 1)
	known{held: 1, passed: passed, memories: 1}.check(t, caddy, "when it is parked for the third time")
	pages.Put("/state", state(`{"jobs":2}`))
	caddy.Publish(t, "state", "", "")
	changed := answerIn(t, held)
	known{held: 1, passed: passed, memories: 1}.check(t, caddy, "after a change")

	// A client that says itself what it has.
	tag := "If-None-Match: " + changed.Header.Get("ETag")
	for range 2 {
		if a := answerIn(t, page.poll("/state", tag, "Prefer: wait=0")); !strings.HasSuffix(a.Header.Get("Parker-Status"), "detail=wait") {
			t.Errorf("a poll that does not wait was answered %+v", a)
		}
	}
	held = page.pollUntilHeld("/state", tag)
	known{held: 2, passed: passed, memories: 1}.check(t, caddy, "when a conditional poll is parked")
	caddy.Publish(t, "state", "", "over")
	expect(t, "over", "message", held)

	newTab(t, caddy, "").polls("/state", `{"jobs":2}`, "unknown client")
	known{held: 2, passed: passed + 1, memories: 1}.check(t, caddy, "after a poll without a cookie")
	if a := page.load("/page"); a.Body != "<p>" {
		t.Errorf("the page was loaded with %+v", a)
	}
	known{held: 2, passed: passed + 1, memories: 1, loads: 1}.check(t, caddy, "after a page load")

	stream := caddytest.Listen(t, "http://"+caddy.Site+"/status")
	if _, sample := now(t, stream); sample.Memories != 1 {
		t.Errorf("the status page is told %+v", sample)
	}
}

func TestPageLoadCountsOnceWhateverSeesIt(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/page", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<p>"})
	pages.Put("/frame", caddytest.Page{Status: http.StatusNoContent})
	caddy := caddytest.Start(t, withHook(figuresSite+"\nparker_page_loads"), pages.Address)
	page := newTab(t, caddy, "id=1")
	page.load("/page")
	known{loads: 1}.check(t, caddy, "after a page load")

	// A document can be a poll, too, and goes on after a reload.
	site := strings.Replace(figuresSite, "unchanged", "unchanged\nstatus 204", 1)
	caddy.MustLoad(t, withHook(site))
	held := page.poll("/frame", "Sec-Fetch-Dest: iframe")
	caddy.AwaitWaiting(t, "frame", 1)
	known{loads: 2}.check(t, caddy, "when a frame is parked")
	caddy.MustLoad(t, withHook(site+"\nheader X-New yes"))
	caddy.Publish(t, "frame", "", "")
	caddytest.Await(t, "the backend was asked again", func() bool { return pages.Asks("/frame") == 2 })
	caddy.AwaitWaiting(t, "frame", 1)
	known{loads: 2}.check(t, caddy, "when a frame is parked after a reload")
	caddy.Publish(t, "frame", "", "over")
	expect(t, "over", "message", held)
}
