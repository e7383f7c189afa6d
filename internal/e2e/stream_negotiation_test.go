package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestAStreamIsForClientsThatWantNothingMore(t *testing.T) {
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
			t.Errorf("%q: a stream: %t", test.accept, got)
		}
		s.Leave()
	}
}

// varied are what backends say of Vary, and what clients are told.
var varied = []struct{ said, told []string }{
	{nil, []string{"Accept"}},
	{[]string{"Origin"}, []string{"Origin", "Accept"}},
	{[]string{"Origin, Cookie", "Accept-Encoding"}, []string{"Origin, Cookie", "Accept-Encoding", "Accept"}},
	{[]string{"Origin, ACCEPT"}, []string{"Origin, ACCEPT"}},
	{[]string{"*"}, []string{"*"}},
	{[]string{"Origin, *"}, []string{"Origin, *"}},
}

func TestAnswersSayThatTheyVaryByAccept(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite("timeout 50ms"))
	url := "http://" + caddy.Site + "/news"
	for _, test := range varied {
		page := func(status int, body string) caddytest.Page {
			return caddytest.Page{Status: status, Header: http.Header{"Vary": test.said}, Body: body}
		}
		for what, page := range map[string]caddytest.Page{
			"news": page(0, "news"), "nothing new": page(0, "[]"), "no content": page(204, ""), "a redirect": page(302, ""), "a refusal": page(403, "no"), "a failure": page(502, ""),
			"what is too long to be kept": page(0, strings.Repeat("long ", 100_000)),
			"a stream of the backend's":   {Header: http.Header{"Vary": test.said, "Content-Type": {"text/event-stream"}}, Body: "data: x\n\n"},
		} {
			pages.Put("/news", page)
			for _, accept := range []string{"*/*", "application/json, text/event-stream;q=0.1"} {
				if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Accept: "+accept); g.Err != nil || !slices.Equal(g.Header["Vary"], test.told) {
					t.Errorf("%s with %q: it varies by %q, %v", what, test.said, g.Header["Vary"], g.Err)
				}
			}
		}
	}
}

func TestAnswersOfParkersOwnSayThatTheyVaryByAccept(t *testing.T) {
	t.Parallel()
	varies := func(what string, header http.Header) {
		t.Helper()
		if got := header["Vary"]; !slices.Equal(got, []string{"Accept"}) {
			t.Errorf("%s: it varies by %q", what, got)
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
