package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// revalidating is a site whose answers browsers may keep.
func revalidating(options string) string {
	return parking("revalidate\nnothing_new {\nunchanged\n}\n" + options)
}

// ofSession are the fields that PHP adds to each answer of a page with a session.
var ofSession = []string{"Cache-Control: no-store, no-cache, must-revalidate", "Pragma: no-cache", "Expires: Thu, 19 Nov 1981 08:52:00 GMT"}

// kept checks that browsers may keep the answer and must ask for it again.
func kept(t *testing.T, g caddytest.Answer, status int, body string) {
	t.Helper()
	if g.Status != status || g.Body != body || g.Header.Get("ETag") == "" || !slices.Equal(g.Header["Cache-Control"], []string{"private, no-cache"}) ||
		g.Header["Pragma"] != nil || g.Header["Expires"] != nil || !slices.Contains(g.Header["Vary"], "Accept") {
		t.Errorf("the poll was answered %+v, want %d %s with fields that make browsers ask again", g, status, body)
	}
}

func TestRevalidateHoldsPollsOfBrowsersThatKeepAnswers(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"", "share public", "share public\nreuse 1m", "watch 1s"} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			pages := caddytest.NewPages(t)
			caddy := caddytest.Start(t, revalidating(options), pages.Address)
			url := "http://" + caddy.Site + "/desk"
			pages.Put("/desk", page(200, "one", ofSession...))
			first := caddytest.Do(t.Context(), http.MethodGet, url, "")
			kept(t, first, 200, "one")
			condition := "If-None-Match: " + first.Header.Get("ETag")

			kept(t, caddytest.Do(t.Context(), http.MethodGet, url, "", condition, "Prefer: wait=1"), 304, "")
			parked := []<-chan caddytest.Answer{caddytest.Get(t.Context(), url, condition), caddytest.Get(t.Context(), url, condition)}
			caddy.AwaitWaiting(t, "desk", 2)
			pages.Put("/desk", page(200, "two", ofSession...))
			if !strings.Contains(options, "watch") {
				caddy.Publish(t, "desk", "", "")
			}
			for _, answered := range parked {
				kept(t, answerIn(t, answered), 200, "two")
			}
		})
	}
}

func TestRevalidateChangesOnlyWhatBrowsersMayKeep(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, strings.Replace(revalidating("methods GET HEAD POST"), "parker_notify", "header /outer Expires 0\nheader /outer Pragma no-cache", 1))
	const changed = "private, no-cache"
	for name, x := range map[string]struct {
		method, path string
		status       int
		header       []string
		control      string
		validator    string // the field, and its value unless parker has made it
	}{
		"no field":                    {control: changed, validator: "ETag"},
		"a lifetime":                  {header: []string{"Cache-Control: public, max-age=60", "Cache-Control: s-maxage=5"}, control: changed, validator: "ETag"},
		"no transformation":           {header: []string{"Cache-Control: no-store", "Cache-Control: max-age=0,No-Transform"}, control: "private, no-cache, no-transform", validator: "ETag"},
		"its own tag":                 {header: append([]string{`ETag: "v1"`}, ofSession...), control: changed, validator: `ETag: "v1"`},
		"a date":                      {header: append([]string{"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"}, ofSession...), control: changed, validator: "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"},
		"a date that is none":         {header: []string{"Last-Modified: Tue, 14 Nov 2023 22:13:20 +0000"}, control: changed, validator: "ETag"},
		"a cookie":                    {header: append([]string{"Set-Cookie: a=b"}, ofSession...), control: changed, validator: "ETag"},
		"the backend's own 304":       {status: 304, header: append([]string{`ETag: "v1"`}, ofSession...), control: changed, validator: `ETag: "v1"`},
		"fields of another handler":   {path: "/outer", control: changed, validator: "ETag"},
		"a HEAD":                      {method: http.MethodHead, header: ofSession, control: "no-store, no-cache, must-revalidate"},
		"a POST":                      {method: http.MethodPost, header: ofSession, control: "no-store, no-cache, must-revalidate"},
		"a method that is not held":   {method: http.MethodPut, header: ofSession, control: "no-store, no-cache, must-revalidate"},
		"another success":             {status: 203, header: ofSession, control: "no-store, no-cache, must-revalidate"},
		"a redirect":                  {status: 302, header: append([]string{"Location: /login"}, ofSession...), control: "no-store, no-cache, must-revalidate"},
		"an error":                    {status: 500, header: ofSession, control: "no-store, no-cache, must-revalidate"},
		"a refusal":                   {status: 403, header: []string{"Cache-Control: no-store"}, control: "no-store"},
		"an event stream":             {header: append([]string{"Content-Type: text/event-stream"}, "Cache-Control: no-store"), control: "no-store, no-transform"},
		"a cache of its own in front": {header: []string{"Surrogate-Control: max-age=5", "CDN-Cache-Control: max-age=6"}, control: changed, validator: "ETag"},
	} {
		t.Run(name, func(t *testing.T) {
			method, path := x.method, x.path
			if method == "" {
				method = http.MethodGet
			}
			if path == "" {
				path = "/desk"
			}
			answered := doLater(t, method, "http://"+caddy.Site+path, "", "Prefer: wait=0")
			backend.Next(t).Answer(max(x.status, 200), "", append(x.header, "X-Legacy: yes")...)
			g := answerIn(t, answered)
			field, value, given := strings.Cut(x.validator, ": ")
			if g.Status != max(x.status, 200) || strings.Join(g.Header["Cache-Control"], "|") != x.control || g.Header.Get("X-Legacy") != "yes" ||
				field != "" && g.Header.Get(field) == "" || given && g.Header.Get(field) != value {
				t.Errorf("answered %+v, want Cache-Control: %s and %s", g, x.control, x.validator)
			}
			changes := strings.HasPrefix(x.control, changed)
			for _, line := range x.header {
				name, value, _ := strings.Cut(line, ": ")
				removed := changes && (name == "Pragma" || name == "Expires")
				if name != "Cache-Control" && slices.Contains(g.Header.Values(name), value) == removed {
					t.Errorf("answered %+v, which has %s: %t", g, line, removed)
				}
			}
			if changes && (g.Header["Pragma"] != nil || g.Header["Expires"] != nil) {
				t.Errorf("answered %+v", g)
			}
		})
	}
}

// An answer that streams is not compared, so it stays as it is. So does a message.
func TestRevalidateLeavesStreamsAndMessages(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, revalidating("max_body 1KB"))
	url := "http://" + caddy.Site + "/desk"
	long := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(200, strings.Repeat("a", 2000), ofSession...)
	if g := answerIn(t, long); g.Header.Get("Cache-Control") != "no-store, no-cache, must-revalidate" || g.Header.Get("Pragma") == "" || g.Header.Get("Expires") == "" {
		t.Errorf("the long answer has the fields %v", g.Header)
	}
	first := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(200, "one", ofSession...)
	tag := answerIn(t, first).Header.Get("ETag")
	parked := caddytest.Get(t.Context(), url, "If-None-Match: "+tag)
	backend.Next(t).Answer(200, "one", ofSession...)
	caddy.AwaitWaiting(t, "desk", 1)
	caddy.Publish(t, "desk", "", "news")
	if g := answerIn(t, parked); g.Body != "news" || g.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the message is %+v", g)
	}
}

// The warning goes by what the backend says.
func TestRevalidateKeepsWarningOfSharedPersonalAnswers(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, revalidating("share public"))
	const warning = "an answer that the backend marks private or no-store was shared"
	for warnings, header := range [][]string{{"Cache-Control: max-age=60"}, ofSession} {
		asking := caddytest.Get(t.Context(), "http://"+caddy.Site+"/desk")
		ask := backend.Next(t)
		other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/desk", "Cookie: a=b")
		awaitJoined(t, caddy, 1)
		ask.Answer(200, "one", header...)
		for _, answered := range []<-chan caddytest.Answer{asking, other} {
			kept(t, answerIn(t, answered), 200, "one")
		}
		awaitLogged(t, caddy, warning, warnings)
	}
}
