package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// ownSite has a route for each path that a request can take through parker.
const ownSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	handle /held/* {
		parker
		reverse_proxy {$BACKEND}
	}
	handle /messages/* {
		parker {
			hold messages
		}
		reverse_proxy {$BACKEND}
	}
	handle /notified/* {
		parker_notify written
		reverse_proxy {$BACKEND}
	}
	handle /piggyback/* {
		parker_notify written {
			piggyback
		}
		reverse_proxy {$BACKEND}
	}
	handle /both/* {
		parker_notify written
		parker
		reverse_proxy {$BACKEND}
	}
}
http://{$HOOK} {
	parker_publish
}
`

// echoBackend is a backend that copies the fields of the request into its answer.
type echoBackend struct {
	mu   sync.Mutex // guards all below
	own  []string   // the fields of parker's own that it received
	asks int
}

func (b *echoBackend) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asks
}

// expectNoOwnFields checks that the backend received none of parker's own fields.
func (b *echoBackend) expectNoOwnFields(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.own) > 0 {
		t.Errorf("the backend received %q", b.own)
	}
}

func (b *echoBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks++
	for name, values := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), "parker") {
			b.own = append(b.own, r.Method+" "+r.URL.Path+": "+name)
		}
		if name != "Accept-Encoding" && name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	fmt.Fprint(w, "[]")
}

// forged are fields that only parker, its hook or a backend sets.
var forged = []string{
	"Parker-Publish: stolen, written", "parker-publish: stolen", "PARKER-PUBLISH: \"stolen\"", "Parker_Publish: stolen", "Parker.Publish: stolen",
	"Parker-Event: stolen", "Parker-Id: 1", "Parker-Expires: 0", "Parker-Status: parker; park=0.0; release=forged", "Parker-Recovered: forged", "Parker-Position: parker.forged-1",
	"Parker-: forged",
}

func TestParkerIgnoresItsOwnFieldsFromClients(t *testing.T) {
	t.Parallel()
	backend := new(echoBackend)
	caddy := caddytest.StartSecure(t, ownSite, caddytest.Serve(t, backend.ServeHTTP))
	publishes := 0
	check := func(what string, g caddytest.Answer) {
		t.Helper()
		text := fmt.Sprint(g.Header, g.Body)
		if g.Err != nil || strings.Contains(text, "forged") || strings.Contains(text, "stolen") || g.Header.Get("X-Other") != "yes" {
			t.Errorf("%s was answered %+v", what, g)
		}
	}
	before := events(t, caddy.Caddy)
	for _, protocol := range []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP2, caddytest.HTTP3} {
		client := caddy.Client(t, protocol)
		header := append([]string{"X-Other: yes", "Prefer: wait=0"}, forged...)
		for _, folder := range []string{"held", "notified", "piggyback", "both"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, "PROPFIND"} {
				check(fmt.Sprint(protocol, " ", method, " /", folder), client.Do(t.Context(), method, "/"+folder+"/x", "", header...))
				if method == http.MethodPost && folder != "held" {
					publishes++ // on the channel of the route
				}
			}
		}
		// One poll is parked and replayed, another one resumes.
		path := "held/" + url.PathEscape(string(protocol))
		parked := client.Get(t.Context(), "/"+path, append([]string{"X-Other: yes"}, forged...)...)
		caddy.AwaitWaiting(t, path, 1)
		asked := backend.asked()
		caddy.Publish(t, path, "", "")
		caddytest.Await(t, "the poll is replayed", func() bool { return backend.asked() > asked })
		caddy.AwaitWaiting(t, path, 1)
		caddy.Publish(t, path, "", "bye")
		publishes += 2
		if g := <-parked; g.Body != "bye" || strings.Contains(fmt.Sprint(g.Header), "forged") {
			t.Errorf("a parked poll was answered %+v", g)
		}
		check("a poll that resumes", client.Do(t.Context(), http.MethodGet, "/messages/x", "", append(header, "Last-Event-ID: "+caddytest.OtherEpoch(position(t, caddy.Caddy)))...))
	}
	caddy.AwaitWaiting(t, "stolen", 0)
	if now := events(t, caddy.Caddy); now-before != publishes {
		t.Errorf("there were %d events, want the %d that were published", now-before, publishes)
	}
	backend.expectNoOwnFields(t)
}
