package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

var piggybackSite = withHook(`
	parker_notify news other {
		piggyback
	}
	parker /polled* news {
		timeout 100ms
	}
	handle /gone {
		reverse_proxy 127.0.0.1:1
	}
	handle /fails {
		error 418
	}
	handle /responds {
		respond yes
	}
	handle /empty {
	}
	reverse_proxy {$BACKEND}
`)

func TestPiggybackAddsPositionToEveryAnswer(t *testing.T) {
	t.Parallel()
	long := fmt.Sprintf("%0100000d", 1)
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/streamed":
			chunks(w, "one", "two")
		case "/long":
			fmt.Fprint(w, long)
		case "/unchanged":
			w.WriteHeader(http.StatusNotModified)
		case "/informed":
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "news")
		case "/own":
			w.Header().Set("Parker-Position", "the backend's")
			fmt.Fprint(w, "news")
		case "/missing", "/polled/missing":
			http.NotFound(w, r)
		case "/polled/nothing":
			w.WriteHeader(http.StatusNoContent)
		default:
			fmt.Fprint(w, "news")
		}
	})
	caddy := caddytest.Start(t, piggybackSite, backend)
	for i, path := range []string{"/", "/streamed", "/long", "/unchanged", "/informed", "/own", "/missing", "/gone", "/fails", "/responds", "/empty", "/polled", "/polled/nothing", "/polled/missing"} {
		at := caddy.PublishWith(t, []string{"news", "other"}[i%2], "").Position
		caddy.Publish(t, "elsewhere", "", "")
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			g := caddytest.Do(t.Context(), method, "http://"+caddy.Site+path, "")
			if got := g.Header["Parker-Position"]; g.Err != nil || len(got) != 1 || got[0] != at {
				t.Errorf("%s %s was answered %d with the position %q, want %s", method, path, g.Status, got, at)
			}
		}
	}
}

func TestPiggybackOnWriteGivesPositionBeforeIt(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, piggybackSite, backend.Address)
	at := caddy.PublishWith(t, "news", "").Position
	for range 3 {
		g := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/write", "text")
		if got := g.Header.Get("Parker-Position"); got != at || g.Status != http.StatusSeeOther {
			t.Errorf("a write was answered %+v, want %s", g, at)
		}
		next := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/", "").Header.Get("Parker-Position")
		if caddytest.Offset(t, next) <= caddytest.Offset(t, at) {
			t.Errorf("after a write the position is %s, was %s", next, at)
		}
		if again := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/", "").Header.Get("Parker-Position"); again != next {
			t.Errorf("without a write the position is %s, was %s", again, next)
		}
		at = next
	}
}

func TestPiggybackPositionCanBeResumedFrom(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, withHook(`
	parker_notify /page news {
		piggyback
	}
	parker /news
	reverse_proxy {$BACKEND}
`))
	for range 3 {
		at := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/page", "").Header.Get("Parker-Position")
		if g := resumed(t, caddy, at); g.Body != "[]" || g.Header.Get("Parker-Recovered") != "" {
			t.Errorf("from %s: %+v", at, g)
		}
		caddy.Publish(t, "elsewhere", "", "")
		caddy.Publish(t, "news", "", "message")
		if g := resumed(t, caddy, at); g.Body != "message" {
			t.Errorf("from %s: %+v", at, g)
		}
	}
}
