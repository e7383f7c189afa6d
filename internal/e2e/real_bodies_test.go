package e2e

import (
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// realUnchangedSite compares answers without the clock in them.
var realUnchangedSite = withHook(`
	parker {
		methods GET POST REPORT
		nothing_new {
			status    304
			unchanged except /clock
		}
	}
	method /now-get GET
	reverse_proxy {$BACKEND}
`)

// A 304 may answer only GET and HEAD (RFC 9110, 13.1.2).
func TestUnchangedAnswersPostInFull(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, realUnchangedSite, pages.Address)
	pages.Put("/rpc", page(200, "one", "Content-Type: text/plain"))
	pages.Put("/now-get", page(200, "one", "Content-Type: text/plain"))
	pages.Put("/own", page(304, "", `ETag: "v1"`))
	url := "http://" + caddy.Site
	for method, status := range map[string]int{http.MethodGet: 304, http.MethodPost: 200, "REPORT": 200} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			body, mediaType := "one", "text/plain"
			if status == http.StatusNotModified {
				body, mediaType = "", ""
			}
			for _, path := range []string{"/rpc", "/now-get"} {
				tag := caddytest.Do(t.Context(), method, url+path, "call").Header.Get("ETag")
				g := caddytest.Do(t.Context(), method, url+path, "call", "If-None-Match: "+tag, "Prefer: wait=1")
				if g.Status != status || g.Release() != "timeout" || g.Body != body || g.Header.Get("Content-Type") != mediaType || g.Header.Get("ETag") != tag {
					t.Errorf("%s: at the timeout the poll was answered %+v", path, g)
				}
			}
			if g := caddytest.Do(t.Context(), method, url+"/rpc", "call", `If-None-Match: "other"`); g.Status != 200 || g.Release() != "none" {
				t.Errorf("a client that has another answer got %+v", g)
			}
			if g := caddytest.Do(t.Context(), method, url+"/own", "call", `If-None-Match: "v1"`, "Prefer: wait=1"); g.Status != 304 || g.Release() != "timeout" {
				t.Errorf("the backend's own 304 became %+v", g)
			}
		})
	}
}
