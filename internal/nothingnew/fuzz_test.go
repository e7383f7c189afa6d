package nothingnew

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// FuzzMet checks that nothing panics, that what is nothing new was never taken
// for news by its start, and that an answer is held by its own tag.
func FuzzMet(f *testing.F) {
	for _, text := range []string{"", " [] ", "null", `{"messages":[],"server_time":1700000000}`, "[1e5,{}]", "<html>", `["\u0061b",100,true,{"":null}]`, `{"n":0.0,"messages":[]}`, `{"rooms":[{"n":1},{"n":0}]}`, `{"rooms":{"n":1}}`, mark + "[]"} {
		for name, encode := range encoders {
			f.Add(encode([]byte(text)), name, 200)
		}
	}
	f.Add(bareDeflate([]byte("{}")), "deflate", 201)
	f.Add([]byte("[]"), "x-lzw, gzip", 204)

	var all []*Rules
	for _, rules := range []*Rules{
		Default(),
		{JSON: []JSONRule{{Pointer: "/messages"}, {Pointer: "/0", Values: raw("100000")}, {Pointer: "/a", Absent: true}, {Pointer: "/*/*/n"}}},
		{Match: []string{"^$", "x"}},
		{Body: []string{"a b"}, Header: map[string][]string{"Content-Encoding": {"b*"}}},
		{Body: []string{`{"messages": [], "n": 0}`, `["a\u0062", 1e2, true, {"": null}]`, `"\ud800"`}},
		{All: [][]Rules{
			{{Body: []string{"[]", "null"}}, {Header: map[string][]string{"Content-Length": nil}}},
			{{Status: []int{4, 206}}, {JSON: []JSONRule{{Pointer: "/messages"}}}, {Match: []string{"time"}}},
		}},
		{Unchanged: &Unchanged{Except: []string{"/server_time", "/0", "/rooms/*/n"}}, Body: []string{"[]"}},
	} {
		all = append(all, provisioned(f, rules))
	}
	f.Fuzz(func(t *testing.T, body []byte, encoding string, status int) {
		for _, rules := range all {
			header := http.Header{}
			if encoding != "" {
				header.Set("Content-Encoding", encoding)
			}
			if len(body)%2 == 0 {
				header.Set("Content-Length", strconv.Itoa(len(body)))
			}
			kept := bytes.Clone(body)
			request := http.Header{}
			if tag := rules.Tag(status, header, body); tag != "" {
				header.Set("ETag", tag)
				request.Set("If-None-Match", tag)
				if !met(t, rules, request, status, header, body) {
					t.Fatalf("%q was not held by its own tag %s", body, tag)
				}
			}
			if is, why := met(t, rules, request, status, header, body), rules.WhyNews(request, status, header, body); is != (why == "") {
				t.Fatalf("%q: nothing new is %t, because of %q", body, is, why)
			}
			if !bytes.Equal(body, kept) {
				t.Fatalf("%q was changed to %q", kept, body)
			}
		}
	})
}

// FuzzLiteral checks that a JSON text of a body rule is met by each way to write its
// value, and by none of another value.
func FuzzLiteral(f *testing.F) {
	f.Add(`{"messages": [], "n": 0}`, "{\"n\":-0e9 ,\n\"mess\\u0061ges\":[\t]}")
	f.Add(`[1, 2.50, "\u00e9", null, true, false]`, `[1e0,25E-1,"é",null,true,false]`)
	f.Add(`{"a":1,"a":2}`, `{"a":2}`)
	f.Add(`"\ud800"`, `"\ud801"`)
	f.Add(`0`, `00`)
	f.Fuzz(func(t *testing.T, text, body string) {
		rule, other := newLiteral(text), newLiteral(body)
		if !rule.isJSON || !other.isJSON {
			return
		}
		rules := provisioned(t, &Rules{Body: []string{text}})
		if got, want := met(t, rules, nil, 200, nil, []byte(body)), jsonvalue.Equal(rule.value, other.value); got != want {
			t.Fatalf("body %s: %s: got %t", text, body, got)
		}
	})
}

func BenchmarkPossible(b *testing.B) {
	rules := provisioned(b, Default())
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"2"}}
	for name, start := range map[string]string{"header": "", "start": `[{"id":1}]`} {
		b.Run(name, func(b *testing.B) {
			text := []byte(start)
			b.ReportAllocs()
			for b.Loop() {
				rules.Possible(200, header, text)
			}
		})
	}
}

func BenchmarkMet(b *testing.B) {
	rules := provisioned(b, Default())
	for name, encode := range encoders {
		b.Run(name, func(b *testing.B) {
			header := encoding(name)
			body := encode([]byte("[]"))
			b.ReportAllocs()
			for b.Loop() {
				if !rules.Met(nil, 200, header, body) {
					b.Fatal("[] was taken for news")
				}
			}
		})
	}
}
