package nothingnew

import (
	"net/http"
	"testing"
)

func TestAllMeetsEveryLine(t *testing.T) {
	all := func(blocks ...[]Rules) *Rules { return &Rules{All: blocks} }
	header := func(name string, values ...string) Rules {
		return Rules{Header: map[string][]string{name: values}}
	}
	body := func(bodies ...string) Rules { return Rules{Body: bodies} }
	status := func(codes ...int) Rules { return Rules{Status: codes} }
	match := func(expression string) Rules { return Rules{Match: []string{expression}} }
	member := func(pointer string, values ...string) Rules {
		return Rules{JSON: []JSONRule{{Pointer: pointer, Values: raw(values...)}}}
	}
	log := all([]Rules{body("", "OK"), header("X-More-Data", "false"), header("X-Text-Size")})
	missing := all([]Rules{status(404, 410), member("/code", `"none"`)}, []Rules{body("[]"), match("^.{2}$")})
	more := func(value string) http.Header {
		return http.Header{"X-More-Data": {value}, "X-Text-Size": {"7"}}
	}
	for _, test := range []struct {
		rules  *Rules
		status int
		header http.Header
		body   string
		want   bool
	}{
		{log, 200, more("false"), "", true},
		{log, 200, more("false"), mark + " OK\n", true},
		{log, 200, more("false"), "line", false},
		{log, 200, more("true"), "", false},
		{log, 200, http.Header{"X-More-Data": {"false"}}, "", false},
		{log, 200, nil, "", false},
		{log, 500, more("false"), "", false},
		{log, 200, http.Header{"X-More-Data": {"false"}, "X-Text-Size": {"7"}, "Content-Encoding": {"gzip"}}, "", true},

		{missing, 404, nil, `{"code":"none"}`, true},
		{missing, 410, nil, `{"code":"none"}`, true},
		{missing, 404, nil, `{"code":"gone"}`, false},
		{missing, 404, nil, "", false},
		{missing, 404, nil, "[]", false},
		{missing, 200, nil, `{"code":"none"}`, false},
		{missing, 200, nil, "[]", true},
		{missing, 200, nil, "[ ]", false},

		{all([]Rules{body("a", "b"), body("b", "c")}), 200, nil, "b", true},
		{all([]Rules{body("a", "b"), body("b", "c")}), 200, nil, "a", false},
		{all([]Rules{body("a"), body("b")}), 200, nil, "a", false},
		{all([]Rules{status(2), status(206, 404)}), 206, nil, "x", true},
		{all([]Rules{status(2), status(206, 404)}), 404, nil, "x", false},
		{all([]Rules{status(206), body("x")}), 206, nil, "x", true},
		{all([]Rules{header("X-A", "1"), header("X-A", "2")}), 200, http.Header{"X-A": {"1", "2"}}, "x", true},
		{all([]Rules{header("X-A", "1"), header("X-A", "2")}), 200, http.Header{"X-A": {"1"}}, "x", false},
		{all([]Rules{status(200), body("")}), 200, http.Header{"Content-Type": {"text/event-stream"}}, "", false},
		{&Rules{Status: []int{204}, All: log.All}, 204, nil, "", true},
	} {
		got := met(t, provisioned(t, test.rules), nil, test.status, test.header, []byte(test.body))
		if got != test.want {
			t.Errorf("%+v: %d %v %q: got %t", test.rules.All, test.status, test.header, test.body, got)
		}
	}
}

func TestAllRecognizesNewsByFirstUnmetLine(t *testing.T) {
	rules := provisioned(t, &Rules{All: [][]Rules{
		{{Body: []string{""}}, {Header: map[string][]string{"X-More-Data": {"false"}}}},
		{{Status: []int{404}}, {JSON: []JSONRule{{Pointer: "/code"}}}},
	}})
	last := http.Header{"X-More-Data": {"false"}}
	for _, test := range []struct {
		status int
		header http.Header
		start  string
		want   bool
	}{
		{200, last, "", true},
		{200, last, "\n", true},
		{200, last, "l", false},
		{200, nil, "", false},
		{404, nil, "", true},
		{404, nil, "{", true},
		{404, nil, "<", false},
		{500, nil, "", false},
		{500, last, "", false},
		{200, http.Header{"X-More-Data": {"false"}, "Content-Length": {"70000"}}, "", false},
		{200, http.Header{"X-More-Data": {"false"}, "Content-Encoding": {"x-lzw"}}, "", false},
		{404, http.Header{"Content-Encoding": {"br"}}, "any", true},
	} {
		if got := rules.Possible(test.status, test.header, []byte(test.start)); got != test.want {
			t.Errorf("%d %v %q: got %t", test.status, test.header, test.start, got)
		}
	}
	start := []byte(" ")
	if n := testing.AllocsPerRun(100, func() { rules.Possible(200, last, start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
