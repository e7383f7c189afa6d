package nothingnew

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// met asks for the whole answer, and checks on the way that no start of it was
// taken for news if it is not.
func met(t testing.TB, rules *Rules, request http.Header, status int, header http.Header, body []byte) bool {
	t.Helper()
	is := rules.Met(request, status, header, body)
	for n := range len(body) + 1 {
		if is && !rules.Possible(status, header, body[:n]) {
			t.Fatalf("%d %v: %q is nothing new, but its first %d bytes were taken for news", status, header, body, n)
		}
		if n >= 2000 {
			break
		}
	}
	return is
}

// mark is the byte order mark of UTF-8.
const mark = "\ufeff"

func TestRulesMet(t *testing.T) {
	status := func(codes ...int) *Rules { return &Rules{Status: codes} }
	body := func(bodies ...string) *Rules { return &Rules{Body: bodies} }
	match := func(expressions ...string) *Rules { return &Rules{Match: expressions} }
	header := func(name string, values ...string) *Rules {
		return &Rules{Header: map[string][]string{name: values}}
	}
	for _, test := range []struct {
		rules  *Rules
		status int
		header http.Header
		body   string
		want   bool
	}{
		{Default(), 200, nil, "", true},
		{Default(), 200, nil, "[]", true},
		{Default(), 200, nil, "{}", true},
		{Default(), 200, nil, "null", true},
		{Default(), 200, nil, " \r\n[]\t\f\v\n", true},
		{Default(), 200, nil, "  \n", true},
		{Default(), 201, nil, "[]", true},
		{Default(), 204, nil, "", true},
		{Default(), 304, http.Header{"Content-Length": {"9000000"}}, "", true},
		{Default(), 200, http.Header{"Content-Length": {"2"}}, "[]", true},
		{Default(), 200, http.Header{"Content-Length": {"nonsense"}}, "[]", true},
		{Default(), 200, nil, "[1]", false},
		{Default(), 200, nil, "[] []", false},
		{Default(), 200, nil, "nullify", false},
		{Default(), 200, nil, "<html>", false},
		{Default(), 200, nil, "\u00a0[]", false},
		{Default(), 206, nil, "[]", false},
		{Default(), 206, nil, "", false},
		{Default(), 302, nil, "", false},
		{Default(), 401, nil, "", false},
		{Default(), 500, nil, "[]", false},
		{Default(), 200, http.Header{"Content-Type": {"text/event-stream"}}, "", false},
		{status(2), 200, http.Header{"Content-Type": {"Text/Event-Stream ; charset=utf-8"}}, "", false},

		{status(2), 206, nil, "news", true},
		{status(404), 404, nil, "nobody here", true},
		{status(404, 5), 503, nil, "", true},
		{status(404, 5), 200, nil, "", false},
		{status(200), 200, nil, strings.Repeat("x", testMaxBody), true},
		{status(200), 200, nil, strings.Repeat("x", testMaxBody+1), false},

		{body(""), 204, nil, "", true},
		{body(""), 205, nil, "", true},
		{body(""), 200, nil, "[]", false},
		{body(" nothing here\n"), 200, nil, "nothing here", true},
		{body("nothing here"), 200, nil, "nothing  here", false},
		{body("[", "[]"), 200, nil, "[]", true},

		{Default(), 200, nil, "[ ]", true},
		{Default(), 200, nil, "\n[\r\n]\n", true},
		{Default(), 200, http.Header{"Content-Length": {"3"}}, "{\t}", true},
		{Default(), 200, nil, "[\v]", false},
		{Default(), 200, nil, "[ ] ]", false},
		{Default(), 200, nil, "[ }", false},
		{Default(), 200, nil, "{ } { }", false},
		{Default(), 200, nil, "[[]]", false},
		{Default(), 200, nil, "n ull", false},
		{body("[ ]"), 200, nil, "[]", true},
		{body(`{"messages": [], "n": 0}`), 200, nil, "{\n \"n\" : 0.0,\n \"messages\" : [\n ]\n}\n", true},
		{body(`{"messages": [], "n": 0}`), 200, nil, `{"messages":[]}`, false},
		{body(`{"messages": [], "n": 0}`), 200, nil, `{"messages":[],"n":0,"n":0}`, false},
		{body(`{"messages": [], "n": 0}`), 200, nil, `{"messages":[],"n":0,"m":1}`, false},
		{body(`{"messages": []}`), 200, nil, `{"messages":[]} x`, false},
		{body(`[1000, "a", true, null]`), 200, http.Header{"Content-Length": {"19"}}, `[1e3,"a",true,null]`, true},
		{body(`"\u0061"`), 200, http.Header{"Content-Length": {"3"}}, `"a"`, true},
		{body("0"), 200, nil, "0", true},
		{body("0"), 200, nil, "00", false},
		{body("0"), 200, nil, "0 0", false},
		{body("OK"), 200, nil, `"OK"`, false},
		{body(`{"a":1,"a":2}`), 200, nil, `{"a":1,"a":2}`, true}, // which of them counts is not defined
		{body(`{"a":1,"a":2}`), 200, nil, `{"a":2}`, false},
		{body("\"\xfc\""), 200, nil, "\"\xfc\"", true},
		{body("\"\xfc\""), 200, nil, "\"\xf6\"", false},
		{body(`"\ud800"`), 200, nil, `"\ud801"`, false},

		{Default(), 200, nil, mark + "[]", true},
		{Default(), 200, nil, mark, true},
		{Default(), 200, nil, "\r\n" + mark + mark + "\n" + mark + "{}\n", true},
		{Default(), 200, nil, mark + "[1]", false},
		{Default(), 200, nil, mark[:2] + "[]", false},
		{Default(), 200, nil, mark[:1], false},
		{Default(), 200, nil, "[]" + mark, false},
		{body(mark + " OK"), 200, nil, "OK", true},
		{match(`^ok$`), 200, nil, mark + "ok", true},
		{body(mark[:2] + "x"), 200, nil, mark[:2] + "x", true},

		{header("X-Empty"), 200, http.Header{"X-Empty": {""}}, "news", true},
		{header("x-empty"), 500, http.Header{"X-Empty": {"no"}}, "news", true},
		{header("X-Empty"), 200, nil, "news", false},
		{header("X-Count", "0", "none"), 200, http.Header{"X-Count": {"none"}}, "news", true},
		{header("X-Count", "0"), 200, http.Header{"X-Count": {"1", "0"}}, "news", true},
		{header("X-Count", "0"), 200, http.Header{"X-Count": {"00"}}, "news", false},
		{header("X-State", "idle*"), 200, http.Header{"X-State": {"idle since 9"}}, "", true},
		{header("X-State", "*idle"), 200, http.Header{"X-State": {"is idle"}}, "", true},
		{header("X-State", "*idle*"), 200, http.Header{"X-State": {"is idle now"}}, "", true},
		{header("X-State", "idle*"), 200, http.Header{"X-State": {"not idle"}}, "", false},

		{match(`^ok$`), 200, nil, " ok\n", true},
		{match(`^ok$`), 200, nil, "ok go", false},
		{match(`a`, `"messages":\s*\[\]`), 200, nil, `{"messages":[],"server_time":1700000000}`, true},
		{match(`"messages":\s*\[\]`), 200, nil, `{"messages":[1],"server_time":1700000000}`, false},
		{match(`.`), 404, nil, "ok", false},
	} {
		got := met(t, provisioned(t, test.rules), nil, test.status, test.header, []byte(test.body))
		if got != test.want {
			t.Errorf("%+v: %d %v %.40q: got %t", test.rules, test.status, test.header, test.body, got)
		}
	}
}

func TestRulesMetByJSON(t *testing.T) {
	const poll = `{"messages":[],"server_time":1700000000}`
	nothing := func(pointer string) JSONRule { return JSONRule{Pointer: pointer} }
	equal := func(pointer string, values ...string) JSONRule {
		return JSONRule{Pointer: pointer, Values: raw(values...)}
	}
	absent := func(pointer string) JSONRule { return JSONRule{Pointer: pointer, Absent: true} }
	for _, test := range []struct {
		rule JSONRule
		body string
		want bool
	}{
		{nothing("/messages"), poll, true},
		{nothing("/messages"), ` {"server_time": 1, "messages" : [ ] } ` + "\n", true},
		{nothing("/messages"), mark + poll, true},
		{nothing("/messages"), `{"messages":[0]}`, false},
		{nothing("/messages"), `{"Messages":[]}`, false},
		{nothing("/messages"), `{"messages":[]} x`, false},
		{nothing("/messages"), `{"messages":[]}{}`, false},
		{nothing("/messages"), `{"messages":[]`, false},
		{nothing("/messages"), `<p>{"messages":[]}`, false},
		{nothing("/messages"), ``, false},
		{nothing("/messages/length"), poll, false},
		{nothing("/server_time"), poll, false},
		{nothing("/n"), `{"n":{}}`, true},
		{nothing("/n"), `{"n":""}`, true},
		{nothing("/n"), `{"n":null}`, true},
		{nothing("/n"), `{"n":false}`, true},
		{nothing("/n"), `{"n":true}`, false},
		{nothing("/n"), `{"n":" "}`, false},
		{nothing("/n"), `{"n":0}`, true},
		{nothing("/n"), `{"n":-0}`, true},
		{nothing("/n"), `{"n":0.0}`, true},
		{nothing("/n"), `{"n":0e5}`, true},
		{nothing("/n"), `{"n":0E99999999999999999999}`, true},
		{nothing("/n"), `{"n":0.001}`, false},
		{nothing("/n"), `{"n":1e-9999}`, false},
		{nothing(""), `[]`, true},
		{nothing(""), `0`, true},
		{nothing(""), poll, false},
		{nothing("/"), `{"":0}`, true},
		{nothing("/a~1b"), `{"a/b":0}`, true},
		{nothing("/a~0b"), `{"a~b":0}`, true},
		{nothing("/~01"), `{"~1":0}`, true},
		{nothing("/rooms/1/messages"), `{"rooms":[1,{"messages":[]}]}`, true},
		{nothing("/0"), `[0]`, true},
		{nothing("/1"), `[0]`, false},
		{nothing("/00"), `[0]`, false},
		{nothing("/+0"), `[0]`, false},
		{nothing("/-0"), `[0]`, false},
		{nothing("/-"), `[0]`, false},
		{nothing("/-"), `{"-":0}`, true},
		{nothing("/99999999999999999999"), `[0]`, false},

		{equal("/state", `"idle"`, `"away"`), `{"state":"away"}`, true},
		{equal("/state", `"idle"`), `{"state":"busy"}`, false},
		{equal("/state", `"idle"`), `{"state":"\u0069dle"}`, true},
		{equal("/state", `"1"`), `{"state":1}`, false},
		{equal("/state", `null`), `{}`, false},
		{equal("/state", `null`), `{"state":null}`, true},
		{equal("/state", `null`), `{"state":0}`, false},
		{equal("/n", `1`), `{"n":1.0}`, true},
		{equal("/n", `100`), `{"n":1e2}`, true},
		{equal("/n", `0.5`), `{"n":50E-2}`, true},
		{equal("/n", `1`), `{"n":-1}`, false},
		{equal("/n", `1`), `{"n":10}`, false},
		{equal("/n", `9007199254740993`), `{"n":9007199254740992}`, false},
		{equal("/n", `9007199254740993`), `{"n":9007199254740993.00}`, true},
		{equal("/n", `1e99999999999`), `{"n":1e99999999998}`, false},
		{equal("/n", `1e99999999999`), `{"n":1e99999999999}`, true},
		{equal("", `{"a":1,"b":[2,{}]}`), `{"b":[2.0,{}],"a":1}`, true},
		{equal("", `{"a":1,"b":[2,{}]}`), `{"b":[{},2],"a":1}`, false},
		{equal("", `{"a":1}`), `{"a":1,"b":2}`, false},
		{equal("", `[1]`), `{"0":1}`, false},

		{nothing("/rooms/*/messages"), `{"rooms":[{"messages":[1]},{"messages":[]}]}`, true},
		{nothing("/rooms/*/messages"), `{"rooms":[{"messages":[1]}]}`, false},
		{nothing("/rooms/*/messages"), `{"rooms":{"messages":[]}}`, true},
		{equal("/rooms/*/state", `"idle"`), `{"rooms":{"1":{"state":"busy"},"2":{"state":"idle"}}}`, true},
		{equal("/rooms/*/state", `"idle"`), `{"rooms":[]}`, false},
		{absent("/rooms/*/messages"), `{"rooms":[{},{}]}`, true},
		{absent("/rooms/*/messages"), `{"rooms":[{},{"messages":[]}]}`, false},
		{absent("/rooms/*/messages"), `{"rooms":{"messages":[]}}`, false},

		{absent("/messages"), `{}`, true},
		{absent("/messages"), `[]`, true},
		{absent("/messages"), `7`, true},
		{absent("/messages"), `{"messages":null}`, false},
		{absent("/messages"), `not json`, false},
		{absent("/messages"), ``, false},
		{absent("/messages/0"), poll, true},
		{absent("/messages/0"), `{"messages":[{}]}`, false},
		{absent(""), `{}`, false},
	} {
		rules := provisioned(t, &Rules{JSON: []JSONRule{test.rule}})
		if got := met(t, rules, nil, 200, nil, []byte(test.body)); got != test.want {
			t.Errorf("%s %s absent=%t: %s: got %t", test.rule.Pointer, test.rule.Values, test.rule.Absent, test.body, got)
		}
	}

	either := provisioned(t, &Rules{JSON: []JSONRule{nothing("/a"), absent("/b")}})
	for text, want := range map[string]bool{`{"a":0,"b":1}`: true, `{"a":1}`: true, `{"a":1,"b":1}`: false} {
		if got := met(t, either, nil, 200, nil, []byte(text)); got != want {
			t.Errorf("one of two rules: %s: got %t", text, got)
		}
	}
}

func TestRulesPossibleRecognizesNewsByFirstBytes(t *testing.T) {
	inJSON := &Rules{JSON: []JSONRule{{Pointer: "/messages"}}}
	whole := &Rules{Body: []string{`{"messages": [], "more": {"page": 10}}`, `["é\n"]`}}
	for _, test := range []struct {
		rules          *Rules
		status         int
		header, length string
		start          string
		want           bool
	}{
		{rules: Default(), want: true},
		{rules: Default(), start: " \n", want: true},
		{rules: Default(), start: "nul", want: true},
		{rules: Default(), start: "[] ", want: true},
		{rules: Default(), start: mark[:1], want: true},
		{rules: Default(), start: " " + mark + mark[:2], want: true},
		{rules: Default(), start: mark[:2] + "["},
		{rules: Default(), start: mark + "[1"},
		{rules: Default(), start: "[1"},
		{rules: Default(), start: " {\""},
		{rules: Default(), start: "null,"},
		{rules: Default(), status: 206},
		{rules: Default(), status: 404},
		{rules: Default(), status: 304, length: "70000", want: true},
		{rules: Default(), length: "70000"},
		{rules: Default(), length: "65536", want: true},
		{rules: &Rules{Body: []string{"[]"}}, length: "1"},
		{rules: &Rules{Body: []string{"[]"}}, length: "2", want: true},
		{rules: Default(), header: "text/event-stream"},
		{rules: Default(), start: strings.Repeat(" ", testMaxBody+1)},
		{rules: Default(), start: "[ \n", want: true},
		{rules: Default(), start: "[ {"},
		{rules: Default(), start: "{\n\""},
		{rules: Default(), start: "[ ] []"},
		{rules: whole, start: ` {"mess`, want: true},
		{rules: whole, start: `{"m\u00`, want: true},
		{rules: whole, start: `{"more":{"page":1`, want: true},
		{rules: whole, start: `{"more":{"page":1e1}, "messages":[ ]`, want: true},
		{rules: whole, start: `["\u00e9\`, want: true},
		{rules: whole, start: `["\u00e9\n`, want: true},
		{rules: whole, start: `["\u00e9\n" `, want: true},
		{rules: whole, start: "[\"\xc3", want: true},
		{rules: whole, start: `{"messages":[{`},
		{rules: whole, start: `{"mx`},
		{rules: whole, start: `{"messages":[],"time"`},
		{rules: whole, start: `{"messages":[]}`},
		{rules: whole, start: `{"more":{"page":11}`},
		{rules: whole, start: `{"more":{"page":null`},
		{rules: whole, start: `["e`},
		{rules: whole, start: `["e\`},
		{rules: whole, start: `["\u00e9"`},
		{rules: whole, start: `["é\n",`},
		{rules: &Rules{Body: []string{"0"}}, start: "<"},
		{rules: &Rules{Body: []string{"0"}}, start: "1,"},
		{rules: &Rules{Body: []string{`{"a":[]}`}}, length: "7"},
		{rules: inJSON, start: "\n{", want: true},
		{rules: inJSON, start: "<"},
		{rules: inJSON, status: 500},
		{rules: &Rules{Match: []string{"x"}}, start: "anything", want: true},
		{rules: &Rules{Unchanged: new(Unchanged)}, start: "anything", want: true},
		{rules: &Rules{Unchanged: new(Unchanged)}, status: 207, start: "anything", want: true},
		{rules: &Rules{Unchanged: new(Unchanged)}, status: 204},
		{rules: &Rules{Unchanged: new(Unchanged)}, status: 206},
		{rules: &Rules{Unchanged: new(Unchanged)}, length: "70000"},
		{rules: &Rules{Unchanged: new(Unchanged)}, header: "text/event-stream;charset=utf-8"},
	} {
		header := http.Header{}
		if test.header != "" {
			header.Set("Content-Type", test.header)
		}
		if test.length != "" {
			header.Set("Content-Length", test.length)
		}
		status := cmp.Or(test.status, 200)
		if got := provisioned(t, test.rules).Possible(status, header, []byte(test.start)); got != test.want {
			t.Errorf("%+v: %d %v %.20q: got %t", test.rules, status, header, test.start, got)
		}
	}
}

func TestRulesMetIsSafeForConcurrentUse(t *testing.T) {
	rules := provisioned(t, &Rules{
		Body:      []string{"[]"},
		JSON:      []JSONRule{{Pointer: "/messages"}},
		Match:     []string{"^nothing"},
		Unchanged: &Unchanged{Except: []string{"/clock"}},
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name, encode := range encoders {
				header := http.Header{"Content-Encoding": {name}}
				for _, text := range []string{"[]", `{"messages":[]}`, "nothing here"} {
					body := encode([]byte(text))
					if !rules.Possible(200, header, body) || !rules.Met(nil, 200, header, body) {
						t.Errorf("%s %s was taken for news", name, text)
					}
					rules.Tag(200, header, body)
				}
			}
		})
	}
	wg.Wait()
}

func TestRulesPossibleAllocatesNothingByDefault(t *testing.T) {
	rules := provisioned(t, Default())
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"2"}}
	start := []byte("[")
	if n := testing.AllocsPerRun(100, func() {
		rules.Possible(200, header, nil)
		rules.Possible(200, header, start)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
