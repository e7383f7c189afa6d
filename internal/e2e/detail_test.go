package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStatusHeaderAndLogSayWhyRequestIsNotHeld(t *testing.T) {
	t.Parallel()
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/missing":
			http.NotFound(w, r)
		case "/long":
			w.Write([]byte("[" + strings.Repeat(" ", 2000) + "]"))
		case "/slow":
			w.Write([]byte("["))
			w.(http.Flusher).Flush()
			<-time.After(time.Second)
		case "/nothing", "/none/":
			w.Write([]byte("[]"))
		default:
			w.Write([]byte(`[{"id":1}]`))
		}
	})
	caddy := caddytest.Start(t, `
{
	debug
	{$GLOBAL}
}
http://{$SITE} {
	handle /none/* {
		parker none/{query.room}
		reverse_proxy {$BACKEND}
	}
	handle {
		parker {
			max_body 1KB 100ms
		}
		reverse_proxy {$BACKEND}
	}
}
`, backend)
	for _, test := range []struct {
		method, path, body string
		header             []string
		detail, logged     string
	}{
		{"GET", "/news", "", nil, "news", `"status":200,"size":10,"missing":"no rule matches"`},
		{"GET", "/missing", "", nil, "status", `"status":404`},
		{"GET", "/long", "", nil, "length", `"status":200`},
		{"GET", "/slow", "", nil, "slow", `"status":200`},
		{"POST", "/news", "x", nil, "method", ""},
		{"GET", "/news", strings.Repeat("x", 2000), nil, "body", ""},
		{"GET", "/none/", "", nil, "channel", ""},
		{"GET", "/nothing", "", []string{"Prefer: wait=0"}, "wait", ""},
		{"GET", "/nothing", "", []string{"Incremental: ?1"}, "incremental", ""},
		{"GET", "/nothing", "", []string{"Connection: Upgrade", "Upgrade: websocket"}, "upgrade", ""},
	} {
		before := len(caddy.Stderr.String())
		a := caddytest.Do(t.Context(), test.method, "http://"+caddy.Site+test.path, test.body, test.header...)
		if want := "parker; park=0.0; release=none; detail=" + test.detail; a.Header.Get("Parker-Status") != want {
			t.Errorf("%s %s: Parker-Status is %q, want %q", test.method, test.path, a.Header.Values("Parker-Status"), want)
		}
		if test.detail == "wait" {
			continue // not held because the client asked not to wait
		}
		caddytest.Await(t, "that the log says why "+test.path+" is not held", func() bool {
			for line := range strings.Lines(caddy.Stderr.String()[before:]) {
				if strings.Contains(line, `"not held"`) && strings.Contains(line, `"detail":"`+test.detail+`"`) && strings.Contains(line, test.logged) {
					return true
				}
			}
			return false
		})
	}
	expectLogged(t, caddy, "request not held", 1)
}
