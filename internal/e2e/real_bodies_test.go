package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func brotlied(text string) string {
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// mark is a byte order mark, which some editors put at the start of a file.
const mark = "\ufeff"

// realTrials are answers of real applications.
var realTrials = []ruleTrial{
	{
		held: []caddytest.Page{
			page(200, brotlied("[]"), "Content-Encoding: br"), page(200, brotlied(""), "Content-Encoding: BR"), page(200, brotlied(gzipped("{}")), "Content-Encoding: gzip, br"),
			page(200, mark+"[]"), page(200, mark), page(200, "\n"+mark+mark+"\nnull\n"), page(200, brotlied(mark+" {}"), "Content-Encoding: br"),
			page(200, "[ ]"), page(200, "[\n]\n"), page(200, "{\r\n\t}"), page(200, gzipped(mark+"[ ]"), "Content-Encoding: gzip"),
		},
		news: []caddytest.Page{
			page(200, brotlied("[1]"), "Content-Encoding: br"), page(200, "[]", "Content-Encoding: br"), page(200, brotlied("[]")+"x", "Content-Encoding: br"),
			page(200, brotlied(strings.Repeat(" ", 70_000)), "Content-Encoding: br"),
			page(200, mark+"[1]"), page(200, "\xef\xbb[]"), page(200, "[]\u00a0"),
			page(200, "[ 1 ]"), page(200, "[ ] ]"), page(200, "{ } { }"), page(200, "[ }"),
		},
	},
	{
		rules: "body `{\"messages\": [], \"more\": false}` `[ null ]` 0 OK",
		held: []caddytest.Page{
			page(200, `{"messages":[],"more":false}`), page(200, "{\n  \"more\": false,\n  \"messages\": [\n  ]\n}\n"), page(200, "[null]"), page(200, "0.0"), page(200, mark+"OK"),
		},
		news: []caddytest.Page{
			page(200, `{"messages":[7],"more":false}`), page(200, `{"messages":[]}`), page(200, `{"messages":[],"more":false,"n":1}`), page(200, "[[]]"), page(200, "01"), page(200, "O K"), page(200, `"OK"`),
		},
	},
	{
		rules: "json /messages\n match ^idle$\n body OK",
		held:  []caddytest.Page{page(200, mark+clock), page(200, mark+"idle"), page(200, mark+"OK")},
		news:  []caddytest.Page{page(200, mark+`{"messages":[1]}`), page(200, mark+"busy")},
	},
	{
		rules: `all {
			body "" OK
			header X-More-Data false
			header X-Text-Size
		}
		all {
			status 404
			json /code none
		}
		all {
			json /a
			json /b 1 2
			match "\"c\""
		}
		status 204`,
		held: []caddytest.Page{
			page(200, "", "X-More-Data: false", "X-Text-Size: 12"), page(200, " OK\n", "X-More-Data: false", "X-Text-Size: 12"),
			page(404, `{"code":"none"}`), page(200, `{"a":[],"b":2,"c":3}`), page(204, ""),
		},
		news: []caddytest.Page{
			page(200, "", "X-More-Data: true", "X-Text-Size: 12"), page(200, "", "X-More-Data: false"), page(200, "line", "X-More-Data: false", "X-Text-Size: 16"),
			page(404, `{"code":"gone"}`), page(404, ""), page(200, `{"code":"none"}`), page(500, "", "X-More-Data: false", "X-Text-Size: 12"),
			page(200, `{"a":[],"b":3,"c":3}`), page(200, `{"a":[],"b":2}`), page(200, `{"a":[1],"b":2,"c":3}`),
		},
	},
}

func TestNothingNewRecognisesRealWorldBodies(t *testing.T) {
	t.Parallel()
	var site strings.Builder
	site.WriteString("http://{$SITE} {\n")
	for i, x := range realTrials {
		rules := ""
		if x.rules != "" {
			rules = "nothing_new {\n" + x.rules + "\n}\n"
		}
		fmt.Fprintf(&site, "parker /%d/* {\n%s}\n", i, rules)
	}
	site.WriteString("reverse_proxy {$BACKEND}\n}\n")
	for form, start := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			pages := caddytest.NewPages(t)
			caddy := start(t, site.String(), pages.Address)
			get := func(path string, p caddytest.Page) <-chan caddytest.Answer {
				pages.Put(path, p)
				return caddytest.Get(t.Context(), "http://"+caddy.Site+path, "Accept-Encoding: gzip, deflate, br, zstd", "Prefer: wait=1")
			}
			for i, x := range realTrials {
				answered := make(map[string]<-chan caddytest.Answer)
				for j, nothing := range x.held {
					path := fmt.Sprintf("/%d/held/%d", i, j)
					answered[path] = get(path, nothing)
				}
				for j, news := range x.news {
					if g := <-get(fmt.Sprintf("/%d/news/%d", i, j), news); !matchesPage(g, news) || g.Release() != "none" {
						t.Errorf("with %s,\n%+v was answered as %+v", x.rules, news, g)
					}
				}
				for j, nothing := range x.held {
					if g := <-answered[fmt.Sprintf("/%d/held/%d", i, j)]; !matchesPage(g, nothing) || g.Release() != "timeout" {
						t.Errorf("with %s,\n%+v was not held: %+v", x.rules, nothing, g)
					}
				}
			}
		})
	}
}

// realUnchangedSite compares answers without the clock in them.
const realUnchangedSite = `
http://{$SITE} {
	parker {
		methods GET POST REPORT
		nothing_new {
			status    304
			unchanged except /clock
		}
	}
	method /now-get GET
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// Servers that compress answers in between mark the tags, and clients send the marked
// tags back. Apache, Jetty and others each use their own mark.
func TestUnchangedKnowsTagMarkedByServerInBetween(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, realUnchangedSite, pages.Address)
	poll := func(path, tag string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+path, "If-None-Match: "+tag, "Prefer: wait=1")
	}
	for path, p := range map[string]caddytest.Page{"/text": page(200, "one"), "/clock": page(200, mark+`{"n":1,"clock":1}`), "/other": page(200, "one", `ETag: "parker"`)} {
		pages.Put(path, p)
	}
	tags := make(map[string]string)
	for _, path := range []string{"/text", "/clock"} {
		tags[path] = (<-poll(path, `"none"`)).Header.Get("ETag")
	}
	pages.Put("/clock", page(200, mark+`{"clock":2,"n":1}`))

	answered := make(map[string]<-chan caddytest.Answer)
	for path, tag := range tags {
		for _, suffix := range []string{"-gzip", ";gzip", "--gzip", "-br", "/brotli", "-df", ":zstd"} {
			marked := strings.TrimSuffix(tag, `"`) + suffix + `"`
			answered[path+" "+marked] = poll(path, `"other", `+marked)
		}
	}
	for what, answers := range answered {
		if g := <-answers; g.Status != http.StatusNotModified || g.Release() != "timeout" {
			t.Errorf("%s: the poll was answered %+v", what, g)
		}
	}
	for path, tag := range map[string]string{"/text": strings.Replace(tags["/text"], "parker-", "parker-A", 1), "/other": `"parker-gzip"`} {
		if g := <-poll(path, tag); g.Status != http.StatusOK || g.Body != "one" || g.Release() != "none" {
			t.Errorf("%s, which has another tag than %s, was answered %+v", path, tag, g)
		}
	}
}

func TestUnchangedComparesAnswerWithInvalidDate(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.Start(t, realUnchangedSite, pages.Address)
	for i, p := range []caddytest.Page{
		page(200, "one", "Last-Modified: Tue, 14 Nov 2023 22:13:20 +0000"), // as gitweb writes dates
		page(200, "one", "Last-Modified: 0"),
		page(207, "one"), page(203, "one"), page(202, "one"),
	} {
		channel := fmt.Sprint(i)
		url := "http://" + caddy.Site + "/" + channel
		pages.Put("/"+channel, p)
		first := <-caddytest.Get(t.Context(), url)
		tag := first.Header.Get("ETag")
		if !matchesPage(first, p) || !strings.HasPrefix(tag, `"parker-`) {
			t.Fatalf("%+v was answered as %+v", p, first)
		}
		condition := []string{"If-None-Match: " + tag}
		if date := p.Header.Get("Last-Modified"); date != "" {
			condition = append(condition, "If-Modified-Since: "+date)
		}
		parked := caddytest.Get(t.Context(), url, condition...)
		caddy.AwaitWaiting(t, channel, 1)
		p.Body = "two"
		pages.Put("/"+channel, p)
		caddy.Publish(t, channel, "", "")
		if g := <-parked; !matchesPage(g, p) || g.Release() != "replay" || g.Header.Get("ETag") == tag {
			t.Errorf("after the change the poll of %+v was answered %+v", p, g)
		}
	}
	for i, p := range []caddytest.Page{page(204, ""), page(205, ""), page(206, "on"), page(404, "one")} {
		path := fmt.Sprint("/none/", i)
		pages.Put(path, p)
		if g := <-caddytest.Get(t.Context(), "http://"+caddy.Site+path); !matchesPage(g, p) || g.Header.Get("ETag") != "" {
			t.Errorf("%+v was answered as %+v", p, g)
		}
	}
}

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
