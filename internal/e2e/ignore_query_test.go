package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// jQuery adds such a parameter to each URL with cache: false.
func TestIgnoreQueryLetsPollsWithCacheBustersShare(t *testing.T) {
	t.Parallel()
	const polls = 200
	caddy, backend := startScripted(t, parking("share public\nignore_query _ rand"))
	came := make(map[string]bool)
	var parked []<-chan caddytest.Answer
	poll := func() {
		uri := fmt.Sprintf("/feed?since=1&_=%d&rand=0.%d", 1_700_000_000_000+len(came), len(came))
		came[uri] = true
		parked = append(parked, caddytest.Get(t.Context(), "http://"+caddy.Site+uri, fmt.Sprint("Cookie: user=", len(came))))
	}
	next := func() *caddytest.Ask {
		ask := backend.Next(t)
		if uri := ask.Request.RequestURI; !came[uri] {
			t.Errorf("the backend was asked for %s", uri)
		}
		return ask
	}
	poll()
	first := next()
	for range polls - 1 {
		poll()
	}
	other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed?since=2&_=1")
	backend.Next(t).Answer(200, "[2]")
	expect(t, "[2]", "none", other)
	awaitJoined(t, caddy, polls-1)
	first.Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", polls)
	backend.Unasked(t)

	release(t, caddy, "feed", polls)
	next().Answer(200, "[1]")
	expect(t, "[1]", "replay", parked...)
	backend.Unasked(t)
}

func TestIgnoreQueryReplaysURLAsItCame(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("ignore_query _"))
	const uri = "/feed?b=%41&_=17&a=+&%5f=a%2Fb"
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+uri)
	for _, body := range []string{"[]", "[]", "[1]"} {
		ask := backend.Next(t)
		if ask.Request.RequestURI != uri {
			t.Errorf("the backend was asked for %s", ask.Request.RequestURI)
		}
		ask.Answer(200, body)
		if body == "[]" {
			caddy.AwaitWaiting(t, "feed", 1)
			release(t, caddy, "feed", 1)
		}
	}
	expect(t, "[1]", "replay", parked)
}

// echoSite answers a 409 of the backend with an error of Caddy's that contains a value.
var echoSite = strings.Replace(parking("share public\nignore_query t"), "reverse_proxy {$BACKEND}", `
	reverse_proxy {$BACKEND} {
		@refused status 409
		handle_response @refused {
			error "{query.t} is refused" 409
		}
		@gone status 410
		handle_response @gone {
			error "it is gone" 410
		}
		@missing status 404
		handle_response @missing {
			header X-Missing {query.t}
			error "it is missing" 404
		}
	}
	handle_errors {
		respond "{err.message}"
	}
`, 1)

func TestIgnoreQueryKeepsAnswersWithValueApart(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, echoSite)
	for name, x := range map[string]struct {
		first, second string // values
		status        int    // if it is not 200
		body          string
		header        string
		shared        bool
	}{
		"the value is nowhere":        {first: "1700", second: "1701", body: `[{"t":170}]`, header: "X-Legacy: yes", shared: true},
		"the error has no value":      {first: "1700", second: "1701", status: 410, shared: true},
		"there is no value":           {first: "", second: "1701", body: `[1701]`, shared: true},
		"the body is empty":           {first: "1700", second: "1701", header: "Content-Encoding: unknown", shared: true},
		"the body is compressed":      {first: "1700", second: "1701", body: gzipped("[1]"), header: "Content-Encoding: gzip", shared: true},
		"the body has it":             {first: "1700", second: "1701", body: "[1700]"},
		"the body has it in capitals": {first: "jQuery1_a", second: "jQuery1_b", body: "JQUERY1_A([1])"},
		"the compressed body has it":  {first: "1700", second: "1701", body: gzipped("[1700]"), header: "Content-Encoding: gzip"},
		"the coding is unknown":       {first: "1700", second: "1701", body: "[1]", header: "Content-Encoding: unknown"},
		"the coding is wrong":         {first: "1700", second: "1701", body: "[1]", header: "Content-Encoding: gzip"},
		"the encoding is not ASCII":   {first: "1700", second: "1701", body: "[\x001\x007\x000\x000\x00]\x00", header: "Content-Type: text/plain; charset=utf-16le"},
		"the decoded value is there":  {first: "%61b", second: "1701", body: "[ab]"},
		"the written value is there":  {first: "%61b", second: "1701", body: "[%61b]"},
		"the value could be escaped":  {first: "a%22b", second: "1701", body: `["a\"b"]`},
		"a link has it":               {first: "1700", second: "1701", body: "[1]", header: `Link: </feed?page=2&t=1700>; rel="next"`},
		"the tag has it":              {first: "1700", second: "1701", body: "[1]", header: `ETag: "a-1700"`},
		"a redirect has it":           {first: "1700", second: "1701", status: 302, header: "Location: /login?next=%2Ffeed%3Ft%3D1700"},
		"an error has it":             {first: "1700", second: "1701", status: 409},
		"a field of an error has it":  {first: "1700", second: "1701", status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/" + url.PathEscape(name)
			get := func(value string) <-chan caddytest.Answer {
				return caddytest.Get(t.Context(), "http://"+caddy.Site+path+"?a=b&t="+value, "Accept-Encoding: identity")
			}
			asking := get(x.first)
			ask := backend.Next(t)
			same, other := get(x.first), get(x.second)
			awaitJoined(t, caddy, 2)
			status := max(x.status, 200)
			ask.Answer(status, x.body, header(x.header)...)
			first := answerIn(t, asking)
			if g := answerIn(t, same); g.Status != status || g.Body != first.Body {
				t.Errorf("the request with the same URL was answered %+v, want %+v", g, first)
			}
			if x.shared {
				if g := answerIn(t, other); g.Status != status || g.Body != first.Body {
					t.Errorf("the other request was answered %+v, want %+v", g, first)
				}
				backend.Unasked(t)
				return
			}
			ask = backend.Next(t)
			if query := ask.Request.URL.RawQuery; query != "a=b&t="+x.second {
				t.Errorf("the backend was asked for %s", query)
			}
			ask.Answer(200, "[its own]")
			expect(t, "[its own]", "none", other)
			backend.Unasked(t)
		})
	}
}

func header(line string) []string {
	if line == "" {
		return nil
	}
	return []string{line}
}

// jsonp is a backend that calls the client's function with its state.
type jsonp struct {
	state atomic.Value
	asks  atomic.Int64
}

func (b *jsonp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asks.Add(1)
	w.Header().Set("Content-Type", "text/javascript")
	w.Header().Set("Vary", "X-Language")
	var to io.Writer = w
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		encoder := gzip.NewWriter(w)
		defer encoder.Close()
		to = encoder
	}
	fmt.Fprintf(to, "%s(%s)", r.URL.Query().Get("callback"), b.state.Load())
}

// jsonpRules hold a call of a function with an empty list.
const jsonpRules = `
	share public
	ignore_query _ callback
	nothing_new {
		match "^[A-Za-z0-9_]+\(\[\]\)$"
	}
	max_body 64KB 10s
	asks 1000
`

func TestIgnoreQueryGivesEachJSONPClientItsOwnCallback(t *testing.T) {
	t.Parallel()
	const clients = 30
	for _, options := range []string{"", "reuse 1m", "watch 300ms", "spread 50ms", "reuse 1m\nwatch 300ms"} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			watches := strings.Contains(options, "watch")
			backend := new(jsonp)
			backend.state.Store("[]")
			caddy := caddytest.Start(t, newsSite(jsonpRules+options), caddytest.Serve(t, backend.ServeHTTP))
			poll := func(polling *sync.WaitGroup, client, round int, state string, header ...string) {
				polling.Go(func() {
					callback := fmt.Sprintf("jQuery3%d_%d", client, round)
					uri := fmt.Sprintf("/feed?callback=%s&_=%d", callback, 1_700_000_000_000+client+round)
					header = append(header, fmt.Sprint("X-Language: ", client%3))
					if g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+uri, "", header...); g.Status != 200 || g.Body != callback+"("+state+")" {
						t.Errorf("client %d, round %d, was answered %+v, want %s(%s)", client, round, g, callback, state)
					}
				})
			}
			for round := range 3 {
				var held, atOnce sync.WaitGroup
				before := backend.asks.Load()
				for client := range clients {
					poll(&held, client, round, fmt.Sprintf("[%d]", round))
				}
				caddytest.Await(t, "all clients have asked", func() bool { return backend.asks.Load() >= before+clients })
				if !watches {
					caddy.AwaitWaiting(t, "feed", clients)
				}
				for client := range clients / 2 {
					poll(&atOnce, client, round, "[]", "Prefer: wait=0")
				}
				atOnce.Wait()
				backend.state.Store(fmt.Sprintf("[%d]", round))
				if !watches {
					caddy.Publish(t, "feed", "", "")
				}
				held.Wait()
				backend.state.Store("[]")
				caddy.Publish(t, "feed", "", "") // what is reused is no longer true
			}
		})
	}
}
