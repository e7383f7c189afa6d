package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// The proxy removes fields that Connection names. A request from which a field is removed
// is answered differently, and shares only with requests without that field.
func TestShareKeepsRequestsWithRemovedFieldsApart(t *testing.T) {
	t.Parallel()
	var news atomic.Bool
	tenant := func(values ...string) string { return fmt.Sprintf("%q", values) }
	caddy := caddytest.Start(t, parking("reuse 10s"), caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			news.Store(true)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Vary", "X-Tenant, Accept-Language")
		w.Header().Set("X-For", tenant(r.Header["X-Tenant"]...))
		if news.Load() {
			fmt.Fprint(w, "[1]")
		} else {
			fmt.Fprint(w, "[]")
		}
	}))
	target := "http://" + caddy.Site + "/feed?since=0"
	hostile := caddytest.DialRaw(t, caddy.Site)
	hostile.Send("GET /feed?since=0 HTTP/1.1\r\nHost: " + caddy.Site + "\r\nAccept-Encoding: gzip\r\nX-Tenant: red\r\nConnection: keep-alive, x-tenant\r\n\r\n")
	caddy.AwaitWaiting(t, "feed", 1)
	victim := caddytest.Get(t.Context(), target, "X-Tenant: red")
	caddy.AwaitWaiting(t, "feed", 2)
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/feed", "")
	for i, g := range []caddytest.Answer{<-victim, caddytest.Do(t.Context(), http.MethodGet, target, "", "X-Tenant: red")} {
		if want := tenant("red"); g.Header.Get("X-For") != want {
			t.Errorf("answer %d is for %s, want %s", i, g.Header.Get("X-For"), want)
		}
	}
	if g := hostile.Answer(); g.Header.Get("X-For") != tenant() {
		t.Errorf("without the field, the answer is %+v", g)
	}
}
