//go:build !race

package clients

import (
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// update is set to visit each page in full on both protocols, and to write what was measured
// into the docs.
var update = flag.Bool("update", false, "write the measured table into docs/pages.md")

// page is a page as people wrote them. It shows the whole state, for which it polls twice in
// a second.
type page struct {
	name   string // as in the docs
	file   string // in testdata/pages
	family string // names the Caddyfile's block for it
	answer answer // how the backend answers its polls; nil: it says nothing about caching
	passes bool   // parker must hold none of its polls
}

var pages = []page{
	{name: "jQuery 1.12, `$.ajax`, a loop", file: "jquery1-loop", family: "whole"},
	{name: "jQuery 1.12, `cache: false`, a timer", file: "jquery1-timer", family: "timer"},
	{name: "jQuery 3, `cache: false`, a loop", file: "jquery3-loop", family: "buster"},
	{name: "jQuery 3, `$.getJSON`, a timer, `no-store` by the server", file: "jquery3-timer", family: "timer", answer: asSession},
	{name: "`fetch`, a loop", file: "fetch-loop", family: "whole"},
	{name: "`fetch`, a loop, `no-store` by the server", file: "fetch-loop", family: "whole", answer: asSession},
	{name: "`fetch`, a loop, `no-store` by the server and `revalidate`", file: "fetch-loop", family: "revalidate", answer: asSession},
	{name: "`fetch`, a loop, `ETag` by the server", file: "fetch-loop", family: "conditional", answer: withETag},
	{name: "`fetch`, a loop, a clock in the answer", file: "fetch-loop", family: "clock", answer: withClock},
	{name: "`fetch`, `no-store` by the page, a loop", file: "fetch-no-store-loop", family: "whole"},
	{name: "`fetch`, a timer", file: "fetch-timer", family: "timer"},
	{name: "`XMLHttpRequest`, `?t=`, a timer", file: "xhr-timer", family: "timer"},
	{name: "`XMLHttpRequest`, `?rand=`, a loop", file: "xhr-loop", family: "buster"},
	{name: "axios, a loop", file: "axios-loop", family: "whole"},
	{name: "JSON-RPC by `POST`, a loop", file: "rpc-loop", family: "rpc", answer: asRPC},
	{name: "`<meta http-equiv=\"refresh\">`", file: "refresh", family: "whole", passes: true},
}

const pagesSite = `
(backend) {
	log {
		output file {$LOG}
	}
	reverse_proxy {$BACKEND}
}
http://{$SITE}, https://{$TLS_SITE} {
	parker_notify /*/*/click {path.0}/{path.1}
	parker /whole/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged
			remember
		}
	}
	parker /buster/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged
			remember
		}
		ignore_query _ rand
	}
	parker /timer/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged
			remember
		}
		ignore_query _ t
		timer
	}
	parker /clock/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged except /clock
			remember
		}
	}
	parker /rpc/*/state {path.0}/{path.1} {
		methods POST
		nothing_new {
			unchanged except /id
			remember
		}
	}
	parker /revalidate/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged
		}
		revalidate
	}
	parker /conditional/*/state {path.0}/{path.1} {
		nothing_new {
			unchanged
		}
	}
	import backend
}
http://{$HOOK}, https://localhost:{$PLAIN_PORT} {
	import backend
}
`

const (
	// slack is how much later than without parker a page may show its state, or a click be
	// answered.
	slack = 1500 * time.Millisecond

	// Visits wait most of the time, so many are made at once. What they measure would be
	// that of a busy machine if more of them did something at once.
	visitsAtOnce = 10
	stepsAtOnce  = 2
)

// proxies are the sites of a Caddy, with and without parker, and the browsers that visit
// them.
type proxies struct {
	backend  *queues
	log      string                                 // the access log of all sites
	sites    map[bool]map[caddytest.Protocol]string // by whether parker is in front
	browsers map[caddytest.Protocol]tabOpener       // that for HTTP/2 does not keep pages to which one may go back

	visits atomic.Int32
	steps  chan struct{} // has a place for each step that may be taken
}

func startProxies(t *testing.T) *proxies {
	backend := newQueues(t)
	_, port, _ := net.SplitHostPort(caddytest.FreePorts(t, 1)[0])
	log := filepath.Join(t.TempDir(), "access.log")
	caddy := caddytest.StartSecure(t, pagesSite, backend.address, "LOG="+log, "PLAIN_PORT="+port)
	start := func(without string) tabOpener {
		return browser(t, append(trusting(t, caddy),
			chromedp.Flag("disable-features", without),
			chromedp.Flag("process-per-site", true))...)
	}
	return &proxies{
		backend: backend,
		log:     log,
		sites: map[bool]map[caddytest.Protocol]string{
			true:  {caddytest.HTTP1: "http://" + caddy.Site, caddytest.HTTP2: "https://" + caddy.TLSSite},
			false: {caddytest.HTTP1: "http://" + caddy.Hook, caddytest.HTTP2: "https://localhost:" + port},
		},
		browsers: map[caddytest.Protocol]tabOpener{
			caddytest.HTTP1: start("Translate,PreloadTopChromeWebUI"),
			caddytest.HTTP2: start("Translate,PreloadTopChromeWebUI,BackForwardCache"),
		},
		steps: make(chan struct{}, stepsAtOnce),
	}
}

// It measures, so it is left out of the tests with the race detector, which run beside others.
// Each page is visited on both protocols, and in full at least on one of them. What was too
// slow is visited once more, alone, because the machine may have been busy.
func TestPagesAsTheyAreAreNeverWorseAndPollLess(t *testing.T) {
	caddytest.Need(t, "npm's axios and jquery are not installed (npm ci in internal/clients/testdata/node)", "testdata/node/node_modules/axios/dist/axios.js")
	p := startProxies(t)
	rows := make([]string, 2*len(pages))
	tooSlow := make([]bool, len(rows))
	compare := func(i int, alone bool) {
		page, protocol := pages[i/2], []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP2}[i%2]
		t.Run(fmt.Sprintf("%s by %s", page.name, protocol), func(t *testing.T) {
			with, without := p.compare(t, page, protocol, *update || i/2%2 == i%2)
			worse, slow := judge(with, without)
			faults := strings.Join(append(worse, slow...), "\n")
			switch {
			case len(worse) > 0 || alone && len(slow) > 0:
				t.Error(faults)
			case len(slow) > 0:
				t.Log(faults)
				tooSlow[i] = true
			}
			rows[i] = tableRow(with, without)
		})
	}
	var visits sync.WaitGroup
	places := make(chan struct{}, visitsAtOnce)
	for i := range rows {
		visits.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			compare(i, false)
		})
	}
	visits.Wait()
	for i := range rows {
		if tooSlow[i] {
			compare(i, true)
		}
	}
	table := tableHead + strings.Join(rows, "")
	t.Log("\n" + table)
	if *update && !t.Failed() {
		writeTable(t, table)
	}
}

// compare visits a page with and without parker at the same time, as one person.
func (p *proxies) compare(t *testing.T, page page, protocol caddytest.Protocol, full bool) (with, without *visit) {
	with, without = p.visit(page, protocol, true, full), p.visit(page, protocol, false, full)
	person := newTab(t, p.browsers[protocol], "about:blank", chromedp.WithNewBrowserContext())
	var both sync.WaitGroup
	for name, v := range map[string]*visit{"with parker": with, "without parker": without} {
		both.Go(func() { t.Run(name, func(t *testing.T) { v.run(t, person) }) })
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("with parker:\n%s\nwithout:\n%s", with, without)
	return with, without
}

// judge returns what was worse with parker than without, or not better, and what was slow.
func judge(with, without *visit) (worse, slow []string) {
	for _, step := range with.taken {
		if plain := without.slowest(step.kind); step.took > plain+slack {
			slow = append(slow, fmt.Sprintf("%s: it took %v, and %v without parker\n%s", step.name, step.took, plain, with.timeline(step.at, step.took)))
		}
	}
	for name, span := range with.spans {
		if plain := without.spans[name]; span.rate > max(5, plain.rate*1.5) {
			worse = append(worse, fmt.Sprintf("%s: a tab polled %.1f times a second, and %.1f times without parker", name, span.rate, plain.rate))
		}
	}
	idle, plain := with.spans[settled], without.spans[settled]
	polls := fmt.Sprintf("%d polls reached the backend, and %d without parker\n%s", idle.polls, plain.polls, with.timeline(idle.at, settles))
	switch {
	case with.page.passes && idle.polls < plain.polls/2:
		worse = append(worse, "some polls were held: "+polls)
	case !with.page.passes && idle.polls > plain.polls/4:
		worse = append(worse, polls)
	}
	return worse, slow
}
