package e2e

import (
	"bytes"
	"fmt"
	"io"
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

// mark is a byte order mark, as some editors put it at the start of a file.
const mark = "\ufeff"

// realTrials are answers as real applications give them.
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

func TestRealBodiesThatSayNothingAreHeld(t *testing.T) {
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
					if g := <-get(fmt.Sprintf("/%d/news/%d", i, j), news); !shows(g, news) || g.Release() != "none" {
						t.Errorf("with %s,\n%+v was answered as %+v", x.rules, news, g)
					}
				}
				for j, nothing := range x.held {
					if g := <-answered[fmt.Sprintf("/%d/held/%d", i, j)]; !shows(g, nothing) || g.Release() != "timeout" {
						t.Errorf("with %s,\n%+v was not held: %+v", x.rules, nothing, g)
					}
				}
			}
		})
	}
}
