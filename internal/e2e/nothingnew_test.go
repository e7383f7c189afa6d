package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// ruleTrial is a set of nothing_new rules with answers that do and do not meet them.
type ruleTrial struct {
	rules string // the nothing_new block; empty for the default set

	held []caddytest.Page // each is nothing new to the rules
	news []caddytest.Page // each is news
}

func page(status int, body string, header ...string) caddytest.Page {
	p := caddytest.Page{Status: status, Header: make(http.Header), Body: body}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		p.Header.Add(name, value)
	}
	return p
}

func zstdded(text string) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

const clock = `{"messages":[],"server_time":1700000000}`

// ruleTrials have each rule once. What each rule fits in detail is for the unit tests.
var ruleTrials = []ruleTrial{
	{
		held: []caddytest.Page{
			page(204, "", "X-Legacy: yes"), page(304, "", `ETag: "v1"`), page(200, ""), page(200, "{}"), page(200, " [] \r\n", "Content-Type: application/json"),
			page(200, gzipped("[]"), "Content-Encoding: gzip"), page(200, zstdded("null"), "Content-Encoding: zstd"), page(200, "\ufeff[\n]\n"),
		},
		news: []caddytest.Page{
			page(200, "[1]"), page(206, "[]"), page(404, "[]"), page(500, ""), page(200, gzipped("[1]"), "Content-Encoding: gzip"), page(200, "[]", "Content-Encoding: br"),
			page(200, "", "Content-Type: text/event-stream"), page(200, strings.Repeat(" ", 70_000)+"[]"),
		},
	},
	{
		rules: "status 202 4xx\n body idle `[ null ]`",
		held:  []caddytest.Page{page(202, "any"), page(404, "any"), page(200, "\tidle\n"), page(200, `[null]`)},
		news:  []caddytest.Page{page(200, "[]"), page(204, ""), page(500, "idle")},
	},
	{
		rules: "json /messages\n json /status idle 0\n json /update absent",
		held:  []caddytest.Page{page(200, `{"messages":[],"update":1}`), page(200, `{"status":"idle","update":1}`), page(200, `{"other":1}`)},
		news:  []caddytest.Page{page(200, `{"messages":[1],"update":null}`), page(200, "no JSON"), page(404, clock)},
	},
	{
		rules: `match ^{"messages":\[\],"server_time":\d+}$` + "\n header X-State wait*",
		held:  []caddytest.Page{page(200, clock), page(200, "any", "X-State: waiting")},
		news:  []caddytest.Page{page(200, `{"messages":[1],"server_time":1}`), page(200, "[]", "X-State: busy"), page(500, clock)},
	},
	{
		rules: "all {\nbody \"\" OK\nheader X-More-Data false\n}\nall {\nstatus 404\njson /code none\n}",
		held:  []caddytest.Page{page(200, " OK\n", "X-More-Data: false"), page(404, `{"code":"none"}`)},
		news:  []caddytest.Page{page(200, "", "X-More-Data: true"), page(404, `{"code":"gone"}`), page(200, `{"code":"none"}`)},
	},
	{rules: "unchanged", news: []caddytest.Page{page(200, "[]"), page(204, "")}},
}

func TestNothingNewRulesHoldExactlyWhatTheyName(t *testing.T) {
	t.Parallel()
	var site strings.Builder
	for i, x := range ruleTrials {
		rules := ""
		if x.rules != "" {
			rules = "nothing_new {\n" + x.rules + "\n}\n"
		}
		fmt.Fprintf(&site, "parker /%d/* {\n%s}\n", i, rules)
	}
	pages := caddytest.NewPages(t)
	caddy := caddytest.StartSecure(t, "http://{$SITE}, https://{$TLS_SITE} {\n bind 127.0.0.1\n"+site.String()+"reverse_proxy {$BACKEND}\n}\nhttp://{$HOOK} {\n parker_publish\n}\n", pages.Address)
	client := caddy.Client(t, caddytest.HTTP1)
	const accept = "Accept-Encoding: gzip, deflate, zstd, br"

	// All run at once, because all wait for the same seconds.
	parked, given := make(map[string]<-chan caddytest.Answer), make(map[string]<-chan caddytest.Answer)
	for i, x := range ruleTrials {
		for j, nothing := range x.held {
			path := fmt.Sprintf("/%d/%d", i, j)
			pages.Put(path, nothing)
			parked[path] = client.Get(t.Context(), path, accept)
			given[path] = client.Get(t.Context(), path, accept, "Cookie: other=1", "Prefer: wait=1")
		}
	}
	for i, x := range ruleTrials {
		for j, nothing := range x.held {
			path := fmt.Sprintf("/%d/%d", i, j)
			if g := <-given[path]; !matchesPage(g, nothing) || g.Release() != "timeout" {
				t.Errorf("with %s,\n%+v was given as %+v", x.rules, nothing, g)
			}
			caddy.AwaitWaiting(t, path[1:], 1)
			pages.Put(path, x.news[0])
			caddy.Publish(t, path[1:], "", "")
			if g := <-parked[path]; !matchesPage(g, x.news[0]) || g.Release() != "replay" {
				t.Errorf("with %s, held for\n%+v, the poll was answered %+v", x.rules, nothing, g)
			}
		}
		for j, news := range x.news {
			path := fmt.Sprintf("/%d/%d", i, j)
			pages.Put(path, news)
			if g := client.Do(t.Context(), http.MethodGet, path, "", accept); !matchesPage(g, news) || g.Release() != "none" {
				t.Errorf("with %s,\n%+v was answered as %+v", x.rules, news, g)
			}
		}
	}
}

// matchesPage reports whether the client got the page unchanged.
func matchesPage(g caddytest.Answer, p caddytest.Page) bool {
	for name, values := range p.Header {
		if fmt.Sprint(g.Header.Values(name)) != fmt.Sprint(values) {
			return false
		}
	}
	return g.Err == nil && g.Status == p.Status && g.Body == p.Body
}
