package bodymatch

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// matcher returns the matcher of a line of a Caddyfile.
func matcher(t testing.TB, text string) *Matcher {
	t.Helper()
	m := new(Matcher)
	if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// posted returns a POST request with the body.
func posted(mediaType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	return r
}

// matches reports whether a request matches, and checks that its body stays whole.
func matches(t testing.TB, m *Matcher, r *http.Request, body string) bool {
	t.Helper()
	matched, err := m.MatchWithError(r)
	if err != nil {
		t.Error(err)
	}
	if again, err := m.MatchWithError(r); again != matched || err != nil {
		t.Errorf("%q: the second time it matches: %t, %v", body, again, err)
	}
	if got, err := io.ReadAll(r.Body); string(got) != body || err != nil {
		t.Errorf("the body %q became %q, %v", body, got, err)
	}
	return matched
}

const form = "application/x-www-form-urlencoded"

func TestMatcherMatchesByBody(t *testing.T) {
	const (
		state = `{"jsonrpc":"2.0","id":7,"method":"web.update_ui","params":[[],{}]}`
		pause = `{"jsonrpc":"2.0","id":8,"method":"core.pause_torrent","params":["x"]}`
		batch = `[` + pause + `,` + state + `]`
	)
	for _, test := range []struct {
		rule, mediaType, body string
		want                  bool
	}{
		{"json /method web.update_ui", "application/json", state, true},
		{"json /method web.update_ui", "text/plain", state, true},
		{"json /method web.update_ui", form, " \n" + state + "\n", true},
		{"json /method web.update_ui", "application/json", pause, false},
		{"json /method core.resume core.pause_torrent", "application/json", pause, true},
		{"json /method web.update_ui", "application/json", batch, false},
		{"json /*/method web.update_ui", "application/json", batch, true},
		{"json /*/method web.update_ui", "application/json", state, true},
		{"json /*/method other", "application/json", batch, false},
		{"json /method", "application/json", state, true},
		{"json /method", "application/json", `{"method":null}`, true},
		{"json /method", "application/json", `{"id":1}`, false},
		{"json /method absent", "application/json", `{"id":1}`, true},
		{"json /method absent", "application/json", state, false},
		{"json /method absent", "application/json", "no JSON", false},
		{"json /method absent", "application/json", "", false},
		{"json /*/method absent", "application/json", batch, false},
		{"json /params/1 `{}`", "application/json", state, true},
		{"json /id 7", "application/json", `{"id":7.0}`, true},
		{"json /id 7", "application/json", `{"id":"7"}`, false},
		{"json /id `\"7\"`", "application/json", `{"id":"7"}`, true},
		{"json /id 7", "application/json", `{"id":7} x`, false},
		{"json \"\" 7", "application/json", `7`, true},
		{"json /a", "application/json", strings.Repeat("[", 60_000), false},
		{"json /a", "application/json", strings.Repeat(`{"a":`, 5_000) + "1" + strings.Repeat("}", 5_000), true},

		{"form op rpc", form, "a=b&op=rpc", true},
		{"form op rpc", form + "; charset=UTF-8", "op=rpc", true},
		{"form op rpc feed", form, "op=feed", true},
		{"form op rpc", form, "op=other&op=rpc", true},
		{"form op rpc", form, "op=other", false},
		{"form op rpc", form, "xop=rpc", false},
		{"form op rpc", "text/plain", "op=rpc", false},
		{"form op", form, "op=", true},
		{"form op", form, "op", true},
		{"form op", form, "other=op", false},
		{"form op", form, "", false},
		{`form op ""`, form, "op", true},
		{`form op ""`, form, "op=x", false},
		{"form data[a] `x y`", form, "data%5Ba%5D=x+y", true},
		{"form op rpc", form, "op=rpc%zz", false},

		{`match <methodName>d\.multicall2?</methodName>`, "text/xml", "<?xml?><methodCall><methodName>d.multicall2</methodName></methodCall>", true},
		{`match <methodName>d\.multicall2?</methodName>`, "text/xml", "<methodName>d.pause</methodName>", false},
		{"match ^$", "text/plain", "", false},
		{`match ^\s*$`, "text/plain", " ", true},

		{"{\njson /method a\nform op rpc\nmatch ^poll$\n}", "text/plain", "poll", true},
		{"{\njson /method a\nform op rpc\nmatch ^poll$\n}", form, "op=rpc", true},
		{"{\njson /method a\njson /method b\n}", "", `{"method":"b"}`, true},
		{"{\njson /method a\nform op rpc\nmatch ^poll$\n}", form, "op=poll", false},
		{"{\nmatch poll\nmax_body 4\n}", "", "poll", true},
		{"{\nmatch poll\nmax_body 4\n}", "", "poll ", false},
		{"match x", "", strings.Repeat("x", 64_000), true},
		{"match x", "", strings.Repeat("x", 64_001), false},
	} {
		if got := matches(t, matcher(t, "parker_body "+test.rule), posted(test.mediaType, test.body), test.body); got != test.want {
			t.Errorf("%s, %s: %.200s: got %t", test.rule, test.mediaType, test.body, got)
		}
	}
}

func TestMatcherReadsNoBodyThatMayNotEnd(t *testing.T) {
	m := matcher(t, "parker_body match x")
	for name, change := range map[string]func(*http.Request){
		"tunnel":      func(r *http.Request) { r.Method = http.MethodConnect },
		"incremental": func(r *http.Request) { r.Header.Set("Incremental", "?1") },
		"encoded":     func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"none":        func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
		"declared":    func(r *http.Request) { r.ContentLength = 64_001 },
	} {
		r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("the body was read")))
		r.ContentLength = -1
		change(r)
		before := r.Body
		if matched, err := m.MatchWithError(r); matched || err != nil || r.Body != before {
			t.Errorf("%s: it matches: %t, %v", name, matched, err)
		}
	}
}

func TestMatcherLeavesErrorOfBody(t *testing.T) {
	cut := io.ErrUnexpectedEOF
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("xx"), iotest.ErrReader(cut)))
	r.ContentLength = 3
	if matched, err := matcher(t, "parker_body match x").MatchWithError(r); matched || err != nil {
		t.Errorf("it matches: %t, %v", matched, err)
	}
	if got, err := io.ReadAll(r.Body); string(got) != "xx" || err != cut {
		t.Errorf("left %q, %v", got, err)
	}
}

func TestMatcherRefusesWrongRules(t *testing.T) {
	for _, test := range []struct {
		config string
		want   string
	}{
		{`{}`, "no rules are given"},
		{`{"json":[{"pointer":"method"}]}`, `json "method":`},
		{`{"json":[{"pointer":"/a","values":[1],"absent":true}]}`, "absent cannot be combined with values"},
		{`{"match":["("]}`, `match "(":`},
		{`{"match":["x"],"max_body":-1}`, "max_body must not be negative"},
		{`{"form":[{"name":""}]}`, "form: the name is empty"},
	} {
		m := new(Matcher)
		if err := json.Unmarshal([]byte(test.config), m); err != nil {
			t.Fatal(err)
		}
		if err := m.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v", test.config, err)
		}
	}
}

// FuzzMatcher checks that nothing panics and that the body stays whole.
func FuzzMatcher(f *testing.F) {
	f.Add(`{"method":"a","params":[{"id":1}]}`, "application/json")
	f.Add(`[{"method":"a"},{"method":"b"}]`, "text/plain")
	f.Add("op=rpc&a%5B%5D=1&%zz", form)
	f.Add(strings.Repeat("[", 300), "")
	m := matcher(f, "parker_body {\njson /method b\njson /*/*/id 1\njson /x/*/y absent\nform op rpc\nform %zz\nmatch \"^a+$\"\nmax_body 1KB\n}")
	f.Fuzz(func(t *testing.T, body, mediaType string) {
		matched := matches(t, m, posted(mediaType, body), body)
		if matched && (body == "" || len(body) > 1000) {
			t.Fatalf("%q matches", body)
		}
	})
}
