package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamOpensOnlyForClientsThatPreferIt(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	pages.Put("/news", caddytest.Page{Body: "news"})
	for _, test := range []struct {
		accept string
		stream bool
	}{
		{"text/event-stream", true},
		{"application/json, text/event-stream", true},
		{"application/json;q=0.9, text/event-stream", true},
		{"text/event-stream, */*;q=0.1", true},
		{"application/json, text/event-stream;q=0.1", false},
		{"text/event-stream;q=0.5, */*", false},
		{"*/*", false},
	} {
		s := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Accept: "+test.accept)
		if got := s.Header.Get("Content-Type") == "text/event-stream"; got != test.stream {
			t.Errorf("%q: a stream was opened: %t", test.accept, got)
		}
		s.Leave()
	}
}

// varied are the Vary fields of backends, and those that clients must get.
var varied = []struct{ said, told []string }{
	{nil, []string{"Accept"}},
	{[]string{"Origin"}, []string{"Origin", "Accept"}},
	{[]string{"Origin, Cookie", "Accept-Encoding"}, []string{"Origin, Cookie", "Accept-Encoding", "Accept"}},
	{[]string{"Origin, ACCEPT"}, []string{"Origin, ACCEPT"}},
	{[]string{"*"}, []string{"*"}},
	{[]string{"Origin, *"}, []string{"Origin, *"}},
}

func TestVaryNamesAcceptOnBackendAnswers(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite("timeout 50ms"))
	url := "http://" + caddy.Site + "/news"
	for _, test := range varied {
		page := func(status int, body string) caddytest.Page {
			return caddytest.Page{Status: status, Header: http.Header{"Vary": test.said}, Body: body}
		}
		for what, page := range map[string]caddytest.Page{
			"news": page(0, "news"), "nothing new": page(0, "[]"), "no content": page(204, ""), "a redirect": page(302, ""), "a refusal": page(403, "no"), "a failure": page(502, ""),
			"an answer too long to keep": page(0, strings.Repeat("long ", 100_000)),
			"a stream of the backend's":  {Header: http.Header{"Vary": test.said, "Content-Type": {"text/event-stream"}}, Body: "data: x\n\n"},
		} {
			pages.Put("/news", page)
			for _, accept := range []string{"*/*", "application/json, text/event-stream;q=0.1"} {
				if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Accept: "+accept); g.Err != nil || !slices.Equal(g.Header["Vary"], test.told) {
					t.Errorf("%s with %q: Vary is %q, %v", what, test.said, g.Header["Vary"], g.Err)
				}
			}
		}
	}
}

func TestVaryNamesAcceptOnParkersAnswers(t *testing.T) {
	t.Parallel()
	varies := func(what string, header http.Header) {
		t.Helper()
		if got := header["Vary"]; !slices.Equal(got, []string{"Accept"}) {
			t.Errorf("%s: Vary is %q", what, got)
		}
	}
	away := caddytest.Start(t, newsSite(""), caddytest.FreePorts(t, 1)[0])
	varies("an error of Caddy's", caddytest.Do(t.Context(), http.MethodGet, "http://"+away.Site+"/news", "").Header)

	caddy, _ := startNews(t, newsSite("timeout 50ms 204"))
	url := "http://" + caddy.Site + "/news"
	varies("a status at the timeout", caddytest.Do(t.Context(), http.MethodGet, url, "").Header)
	at := caddy.PublishWith(t, "news", "before").Position
	caddy.Publish(t, "news", "", "message")
	varies("a message", caddytest.Do(t.Context(), http.MethodGet, url, "", "Last-Event-ID: "+at).Header)
	varies("a batch", caddytest.Do(t.Context(), http.MethodGet, url+"?batch=true", "", "Last-Event-ID: "+at, "Accept: application/json").Header)
	varies("a stream", caddytest.Listen(t, url).Header)

	messages := caddytest.Start(t, holdSite("timeout 50ms", ""), "")
	varies("a timeout without a backend", caddytest.Do(t.Context(), http.MethodGet, "http://"+messages.Site+"/news", "").Header)
}

// acceptAll starts a backend that answers 406 if Accept names a type that it does not
// have, even among others, as Rails does.
func acceptAll(t *testing.T) (backend string, asked func() []string) {
	var mu sync.Mutex
	var asks []string
	address := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		accept := strings.Join(r.Header["Accept"], ", ")
		asks = append(asks, accept)
		if accept != "*/*" {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		fmt.Fprint(w, "news ", len(asks))
	})
	return address, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asks)
	}
}

func TestStreamRetriesRefusedAcceptWithAnyType(t *testing.T) {
	t.Parallel()
	backend, asked := acceptAll(t)
	caddy := caddytest.Start(t, newsSite("look_again off"), backend)
	url := "http://" + caddy.Site + "/news"
	s := caddytest.Listen(t, url)
	hears(t, s, "news 2")
	caddy.Publish(t, "news", "", "")
	hears(t, s, "news 3")
	caddy.Reload(t, newsSite("look_again off\ntimeout 30s"))
	awaitStreams(t, caddy, "news", 1)
	for _, want := range []string{"news 4", "news 5"} {
		caddy.Publish(t, "news", "", "")
		hears(t, s, want)
		caddy.Reload(t, newsSite("look_again off\ntimeout 40s"))
	}
	if got, want := asked(), []string{"text/event-stream, */*;q=0.1", "*/*", "*/*", "*/*", "*/*"}; !slices.Equal(got, want) {
		t.Errorf("the backend was asked for %q, want %q", got, want)
	}
	if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Accept: application/json"); g.Status != http.StatusNotAcceptable {
		t.Errorf("a poll was answered %+v", g)
	}
}
