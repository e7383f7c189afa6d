package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestRoutesRunForwardAuthOnEachPass(t *testing.T) {
	t.Parallel()
	var asks atomic.Int32
	var revoked atomic.Bool
	auth := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		asks.Add(1)
		if revoked.Load() {
			w.Header().Set("Www-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "revoked")
		}
	})
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	parker messages
	route {
		forward_auth {$AUTH} {
			uri /check
		}
		reverse_proxy {$BACKEND}
	}
`), backend.Address, "AUTH="+auth)
	answered := caddytest.Get(t.Context(), "http://"+caddy.Site)
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	caddy.AwaitWaiting(t, "messages", 1)
	if n := asks.Load(); n != 2 {
		t.Errorf("after two passes the auth server was asked %d times", n)
	}
	revoked.Store(true)
	backend.news.Store(true) // news that the client must not get
	caddy.Publish(t, "messages", "", "")
	given := <-answered
	if given.Status != http.StatusUnauthorized || given.Body != "revoked" || given.Header.Get("Www-Authenticate") != `Bearer error="invalid_token"` ||
		given.Release() != "replay" {
		t.Errorf("the poll was answered %+v", given)
	}
	if n := len(backend.seen()); n != 2 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestRoutesLeaveMessagesUnchanged(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	header X-Outside yes
	parker messages
	encode {
		gzip
		minimum_length 1
	}
	intercept {
		@all status 2xx
		handle_response @all {
			header X-Intercepted yes
		}
	}
	templates
	route {
		header +X-Inside yes
		reverse_proxy {$BACKEND}
	}
`), backend.Address)
	for _, contentType := range []string{"text/html; charset=utf-8", "text/plain", "text/markdown", ""} {
		t.Run(contentType, func(t *testing.T) {
			backend.reset()
			q := poll{header: []string{"Accept-Encoding: gzip", "Accept: text/html"}}
			answered := q.send(t, caddy.Site, "127.0.0.1")
			caddy.AwaitWaiting(t, "messages", 1)
			message := `{{env "HOME"}}{{readFile "/etc/passwd"}}` + strings.Repeat("<b>hello</b>", 100)
			caddy.Publish(t, "messages", contentType, message)
			given := <-answered
			want := fields{
				":status": "200", ":body": message, "Content-Type": contentType, "Content-Length": "1240", "Content-Encoding": "",
				"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Outside": "yes", "X-Inside": "", "X-Intercepted": "",
				"Etag": "", "Set-Cookie": "visit=1; Path=/",
			}
			if contentType == "" {
				want["Content-Type"] = "text/plain; charset=utf-8"
			}
			check(t, "the client got", given, want)
		})
	}
}

func TestRoutesHoldFileServerAndRespond(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	news := filepath.Join(files, "news.json")
	caddy := caddytest.Start(t, withHook(`
	root {$FILES}
	parker news
	encode {
		gzip
		minimum_length 1
	}
	handle_path /respond/* {
		respond {file.{$FILES}/news.json}
	}
	handle {
		file_server
	}
`), "", "FILES="+files)
	for _, path := range []string{"/respond/", "/news.json"} {
		t.Run(path, func(t *testing.T) {
			write(t, news, "")
			if path == "/respond/" {
				write(t, news, "[]")
			}
			q := poll{line: "GET " + path, header: []string{"Accept-Encoding: gzip"}}
			answered := q.send(t, caddy.Site, "127.0.0.1")
			caddy.AwaitWaiting(t, "news", 1)
			write(t, news, `["hello"]`)
			caddy.Publish(t, "news", "", "")
			check(t, "the client got", <-answered, fields{":status": "200", ":body": `["hello"]`})
		})
	}
	t.Run("a file that the client already has", func(t *testing.T) {
		url := "http://" + caddy.Site + "/news.json"
		first := caddytest.Do(t.Context(), http.MethodGet, url, "")
		tag := first.Header.Get("Etag")
		answered := caddytest.Get(t.Context(), url, "If-None-Match: "+tag)
		caddy.AwaitWaiting(t, "news", 1)
		caddy.Publish(t, "news", "", "")
		caddy.AwaitWaiting(t, "news", 1)
		write(t, news, `["hello","again"]`)
		caddy.Publish(t, "news", "", "")
		if given := <-answered; tag == "" || given.Status != http.StatusOK || given.Body != `["hello","again"]` || given.Header.Get("Etag") == tag {
			t.Errorf("with %q the poll was answered %+v", tag, given)
		}
	})
}
