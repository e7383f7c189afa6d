package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

const unchangedSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	parker {
		nothing_new {
			unchanged except /server_time /stats/requests
		}
	}
	handle /encoded/* {
		encode zstd gzip {
			minimum_length 1
		}
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// revisions has the bodies of the revisions of a page, and the later body of an
// unchanged revision.
type revisions struct {
	first, later, second string
	weak                 bool // the tag is weak
}

func TestUnchangedHoldsUntilBytesDiffer(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.StartSecure(t, unchangedSite, pages.Address)
	client := caddy.Client(t, caddytest.HTTP2)
	plain := revisions{first: "one", later: "one", second: "two"}
	for i, x := range []struct {
		path, accept string
		header       []string
		revisions
	}{
		{path: "text", revisions: plain},
		{path: "empty", revisions: revisions{first: "[]", later: " []", second: "[1]", weak: true}},
		{path: "gzipped", accept: "gzip", header: []string{"Content-Encoding: gzip"},
			revisions: revisions{first: gzipped("one"), later: gzipped("one"), second: gzipped("two")}},
		{path: "clock", header: []string{"Content-Type: application/json"}, revisions: revisions{
			first:  `{"text":"one","server_time":1,"stats":{"requests":1,"users":1}}`,
			later:  `{"server_time":2, "stats":{"users":1,"requests":2}, "text":"one"}`,
			second: `{"text":"one","server_time":3,"stats":{"requests":3,"users":2}}`,
			weak:   true,
		}},
		{path: "encoded/gzip", accept: "gzip", revisions: plain},
	} {
		t.Run(x.path, func(t *testing.T) {
			t.Parallel()
			path, accept := "/"+x.path, "Accept-Encoding: "+x.accept
			get := func(header ...string) <-chan caddytest.Answer {
				return client.Get(t.Context(), path, append(header, accept)...)
			}
			pages.Put(path, page(200, x.first, x.header...))
			first := <-get()
			tag := first.Header.Get("ETag")
			if first.Status != 200 || first.Release() != "none" || strings.HasPrefix(tag, "W/") != x.weak || !strings.HasSuffix(tag, `"`) {
				t.Fatalf("the first poll was answered %+v", first)
			}
			if g := <-get(`If-None-Match: "other"`); g.Status != 200 || g.Body != first.Body || g.Header.Get("ETag") != tag {
				t.Errorf("a client with another revision was answered %+v", g)
			}

			pages.Put(path, page(200, x.later, x.header...))
			parked := get("If-None-Match: " + tag)
			if g := <-get(`If-None-Match: "other", `+tag, "Prefer: wait=1"); g.Status != 304 || g.Body != "" || g.Release() != "timeout" ||
				g.Header.Get("ETag") != tag || g.Header.Get("Content-Type") != "" || g.Header.Get("Content-Encoding") != "" {
				t.Errorf("at the timeout the poll was answered %+v", g)
			}
			caddy.AwaitWaiting(t, x.path, 1)

			// A publish without a change brings no news.
			asked := pages.Asks(path)
			caddy.Publish(t, x.path, "", "")
			caddytest.Await(t, "the backend is asked again", func() bool { return pages.Asks(path) == asked+1 })
			caddy.AwaitWaiting(t, x.path, 1)

			pages.Put(path, page(200, x.second, x.header...))
			caddy.Publish(t, x.path, "", "")
			second := <-parked
			if second.Status != 200 || second.Release() != "replay" || second.Body == first.Body || second.Header.Get("ETag") == tag || second.Header.Get("ETag") == "" {
				t.Errorf("after the change the poll was answered %+v", second)
			}
			if g := <-get("If-None-Match: " + tag); g.Status != 200 || g.Body != second.Body || g.Header.Get("ETag") != second.Header.Get("ETag") {
				t.Errorf("poll %d, of a client with the previous revision, was answered %+v", i, g)
			}
		})
	}
}

// validated is a backend with its own validators, some of which it checks in requests.
type validated struct {
	revision atomic.Int32 // 0 or 1
}

func (b *validated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	revision := b.revision.Load()
	tag, modified := fmt.Sprintf(`"v%d"`, revision), "Tue, 14 Nov 2023 22:13:20 GMT"
	if revision == 1 {
		modified = "Tue, 14 Nov 2023 22:13:21 GMT"
	}
	switch r.URL.Path {
	case "/etag", "/etag/forgetful":
		w.Header().Set("ETag", tag)
	case "/date", "/date/forgetful":
		w.Header().Set("Last-Modified", modified)
	}
	if r.Header.Get("If-None-Match") == tag && r.URL.Path == "/etag" || r.Header.Get("If-Modified-Since") == modified && r.URL.Path == "/date" {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprintf(w, "revision %d", revision)
}

// With `unchanged`, a backend need not check conditional requests itself, and its
// validators are kept.
func TestUnchangedUsesBackendsOwnValidator(t *testing.T) {
	t.Parallel()
	backend := new(validated)
	site := strings.Replace(unchangedSite, "unchanged except", "status 304\n unchanged except", 1)
	caddy := caddytest.StartSecure(t, site, caddytest.Serve(t, backend.ServeHTTP))
	client := caddy.Client(t, caddytest.HTTP1)
	rows := []struct{ channel, condition, validator, first, second string }{
		{"etag", "If-None-Match", "ETag", `"v0"`, `"v1"`},
		{"etag/forgetful", "If-None-Match", "ETag", `"v0"`, `"v1"`},
		{"date", "If-Modified-Since", "Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"},
		{"date/forgetful", "If-Modified-Since", "Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"},
	}
	parked := make(map[string]<-chan caddytest.Answer)
	for _, x := range rows {
		if g := <-client.Get(t.Context(), "/"+x.channel); g.Status != 200 || g.Body != "revision 0" || g.Header.Get(x.validator) != x.first {
			t.Fatalf("%s: the first poll was answered %+v", x.channel, g)
		}
		parked[x.channel] = client.Get(t.Context(), "/"+x.channel, x.condition+": "+x.first)
		caddy.AwaitWaiting(t, x.channel, 1)
	}
	backend.revision.Store(1)
	for _, x := range rows {
		caddy.Publish(t, x.channel, "", "")
		if g := <-parked[x.channel]; g.Status != 200 || g.Body != "revision 1" || g.Header.Get(x.validator) != x.second || g.Release() != "replay" {
			t.Errorf("%s: after the change the poll was answered %+v", x.channel, g)
		}
	}
}

// unchangedCalls holds calls by POST, too.
var unchangedCalls = withHook(`
	parker {
		methods GET POST REPORT
		nothing_new {
			status    304
			unchanged
		}
	}
	method /now-get GET
	reverse_proxy {$BACKEND}
`)

// A 304 may answer only GET and HEAD (RFC 9110, 13.1.2).
func TestUnchangedAnswersPostInFull(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, unchangedCalls, pages.Address)
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

// davSite holds the polls of calendars and address books.
var davSite = withHook(`
	parker {
		methods PROPFIND REPORT
		nothing_new {
			unchanged
		}
	}
	reverse_proxy {$BACKEND}
`)

// multistatus returns the answer 207 of a DAV server with a revision of a calendar.
func multistatus(revision int) caddytest.Page {
	return page(http.StatusMultiStatus, fmt.Sprintf(`<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"><d:sync-token>%d</d:sync-token></d:multistatus>`, revision),
		"Content-Type: application/xml; charset=utf-8")
}

// The answer to a PROPFIND cannot be 304: a poll that is held gets the 207 itself.
func TestUnchangedHoldsMultistatus(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, davSite, pages.Address)
	const question = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop><d:sync-token/></d:prop></d:propfind>`
	for _, method := range []string{"PROPFIND", "REPORT"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			channel := "calendars/" + method
			ask := func(header ...string) caddytest.Answer {
				return caddytest.Do(t.Context(), method, "http://"+caddy.Site+"/"+channel, question, append(header, "Depth: 1", "Content-Type: application/xml")...)
			}
			pages.Put("/"+channel, multistatus(1))
			first := ask()
			tag := first.Header.Get("ETag")
			if !matchesPage(first, multistatus(1)) || first.Release() != "none" || tag == "" {
				t.Fatalf("the first poll was answered %+v", first)
			}
			if g := ask("If-None-Match: "+tag, "Prefer: wait=1"); !matchesPage(g, multistatus(1)) || g.Release() != "timeout" || g.Header.Get("ETag") != tag {
				t.Errorf("at the timeout the poll was answered %+v", g)
			}
			parked := later(func() caddytest.Answer { return ask("If-None-Match: " + tag) })
			caddy.AwaitWaiting(t, channel, 1)
			pages.Put("/"+channel, multistatus(2))
			caddy.Publish(t, channel, "", "")
			if g := answerIn(t, parked); !matchesPage(g, multistatus(2)) || g.Release() != "replay" || g.Header.Get("ETag") == tag {
				t.Errorf("after the change the poll was answered %+v", g)
			}

			// A server that refuses the condition itself is heard at once.
			pages.Put("/"+channel, page(http.StatusPreconditionFailed, "<d:error/>"))
			if g := ask("If-None-Match: " + tag); g.Status != http.StatusPreconditionFailed || g.Release() != "none" {
				t.Errorf("the refusal became %+v", g)
			}
		})
	}
}
