package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// browser starts a browser that runs until the test ends.
func browser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path := caddytest.Need(t, "Chromium is not installed (apt-get install chromium)", "chromium", "chromium-browser", "google-chrome")
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.Flag("no-sandbox", true), // root cannot have a sandbox, and all pages belong to the test
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("disable-quic", true), // QUIC would bypass the proxy
	)
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(end)
	ctx, leave := chromedp.NewContext(allocator)
	t.Cleanup(leave)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}

// tab is a tab of the browser with the page in it.
type tab struct {
	ctx context.Context
	*listener
}

// open opens the page of a site in a tab, as a new visitor or beside another tab. The
// page listens in the given way and starts from a position.
func open(t *testing.T, browser context.Context, beside *tab, site, how, from string) *tab {
	t.Helper()
	opener, options := browser, []chromedp.ContextOption{chromedp.WithNewBrowserContext()}
	if beside != nil {
		opener, options = beside.ctx, nil
	}
	ctx, leave := chromedp.NewContext(opener, options...)
	b := &tab{ctx: ctx, listener: new(listener)}
	messages := chromedp.Console(ctx)
	var hearing sync.WaitGroup
	t.Cleanup(func() {
		leave()
		hearing.Wait()
	})
	hearing.Go(func() {
		for message, err := range messages {
			switch {
			case err != nil:
				return
			case message.Type == "clear":
				b.forget() // the page is loaded again and repeats everything
			case message.Type == chromedp.ConsoleLog:
				b.hear(message.Text)
			case message.IsException():
				b.hear(message.String())
			}
		}
	})
	query := url.Values{"how": {how}, "from": {from}}
	b.do(t, "opening the page", chromedp.Navigate(site+"/?"+query.Encode()))
	return b
}

func (b *tab) do(t *testing.T, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, caddytest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// protocol returns the protocol by which the page was loaded, as browsers name it.
func (b *tab) protocol(t *testing.T) string {
	t.Helper()
	name, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`performance.getEntriesByType("navigation")[0].nextHopProtocol`))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// offline makes the browser believe that there is no network. Unlike a lost network, it
// does not end requests in progress.
func (b *tab) offline(r *room, wire *caddytest.Proxy) interruption {
	set := func(t *testing.T, offline bool) {
		b.do(t, "changing the network", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			all := &network.Conditions{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}
			_, err := cdp.Call(ctx, target, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
				MatchedNetworkConditions: []*network.Conditions{all},
			})
			return err
		}))
	}
	return interruption{
		name: "the browser went offline",
		begin: func(t *testing.T) {
			set(t, true)
			wire.Cut()
			r.awaitClients(t, 0)
			wire.Heal()
		},
		end: func(t *testing.T) { set(t, false) },
	}
}

// reload loads the page again.
func (b *tab) reload() interruption {
	return interruption{
		name:  "the page was loaded again",
		begin: func(t *testing.T) { b.do(t, "reloading", chromedp.Reload()) },
		end:   func(*testing.T) {},
	}
}

func TestBrowserPageHearsEveryEvent(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	for protocol, name := range map[caddytest.Protocol]string{caddytest.HTTP1: "http/1.1", caddytest.HTTP2: "h2"} {
		for _, how := range []string{"EventSource", "stream by fetch", "long-poll", "long-poll in batches"} {
			t.Run(how+" by "+string(protocol), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, 10_000)
				wire, url := r.wire(t, protocol)
				page := open(t, chromium, nil, url, how, r.from)
				page.cumulative = !strings.HasPrefix(how, "long-poll")
				if spoken := page.protocol(t); spoken != name {
					t.Fatalf("the page was loaded by %s, want %s", spoken, name)
				}
				r.exchange(t, page.listener, r.cutting(wire), page.offline(r, wire), page.reload(), r.cutting(wire))
			})
		}
	}
}

func TestBrowserPageIsResetAfterLostHistory(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 5)
	wire, url := r.wire(t, caddytest.HTTP1)
	page := open(t, browser(t), nil, url, "EventSource", r.from)
	r.awaitClients(t, 1)
	r.publish(t, 10)
	page.await(t, r.messages[len(r.messages)-1])
	cut := r.cutting(wire)
	cut.begin(t)
	r.publish(t, 20)
	cut.end(t)
	r.awaitClients(t, 1)
	r.publish(t, 1)
	last := r.messages[len(r.messages)-1]
	page.await(t, last)
	writes, _ := json.Marshal(r.writes)
	heard := page.heard()
	begin := slices.Index(heard, "reset")
	if want := []string{"reset", string(writes), last}; begin < 0 || !slices.Equal(heard[begin:], want) {
		t.Errorf("the page heard %q, want it to end with %q", heard, want)
	}
}

// While the backend is down, parker ends the page's streams again and again.
func TestEventSourceSurvivesBackendRestart(t *testing.T) {
	t.Parallel()
	r := newRoomOfAge(t, 10_000, "300ms")
	page := open(t, browser(t), nil, "http://"+r.Site, "EventSource", r.from)
	page.cumulative = true
	r.awaitClients(t, 1)
	r.publish(t, 20)
	r.awaitHeard(t, page.listener, "the first messages")
	for range 2 {
		r.behind.Cut()
		for range 4 {
			r.awaitClients(t, 0)
			r.awaitClients(t, 1)
			text := fmt.Sprintf(`{"message":%d}`, len(r.messages)+1)
			r.messages = append(r.messages, text)
			r.Publish(t, "messages", "", text)
		}
		r.behind.Heal()
		r.awaitHeard(t, page.listener, "a restart of the backend")
	}
	r.publish(t, 20)
	r.awaitHeard(t, page.listener, "all came to an end")
}

func TestHTTP2CarriesTwentyEventSourcesOfOnePage(t *testing.T) {
	t.Parallel()
	r := newRoom(t, 10)
	page := open(t, browser(t), nil, "https://"+r.TLSSite, "20 EventSources", r.from)
	r.awaitClients(t, 20)
	status, err := chromedp.Run(page.ctx, chromedp.Evaluate[int](`fetch("/").then((answer) => answer.status)`, chromedp.EvalAwaitPromise))
	if err != nil || status != 200 {
		t.Errorf("beside the streams, a request was answered %d, %v", status, err)
	}
	r.publish(t, 1)
	for i := range 20 {
		page.await(t, fmt.Sprintf("%d heard %s", i, r.messages[0]))
	}
}

func TestBrowserTabsPollingTogetherHearAllEvents(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	for _, how := range []string{"long-poll", "long-poll in batches"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, 10_000)
			site := "https://" + r.TLSSite
			first := open(t, chromium, nil, site, how, r.from)
			second := open(t, chromium, first, site, how, r.from)
			r.publish(t, 60)
			r.awaitHeard(t, first.listener, "both tabs waited")
			r.awaitHeard(t, second.listener, "both tabs waited")
		})
	}
}
