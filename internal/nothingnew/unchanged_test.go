package nothingnew

import (
	"net/http"
	"strings"
	"testing"
)

const (
	earlier = "Tue, 14 Nov 2023 22:13:20 GMT"
	later   = "Tue, 14 Nov 2023 22:13:21 GMT"
)

func TestUnchangedMeetsAnswerThatClientHas(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: new(Unchanged)})
	noneMatch := func(lines ...string) http.Header { return http.Header{"If-None-Match": lines} }
	etag := func(tag string) http.Header { return http.Header{"Etag": {tag}} }
	since := func(date string) http.Header { return http.Header{"If-Modified-Since": {date}} }
	modified := func(date string) http.Header { return http.Header{"Last-Modified": {date}} }
	for _, test := range []struct {
		request, header http.Header
		want            bool
	}{
		{noneMatch(`"a"`), etag(`"a"`), true},
		{noneMatch(`W/"a"`), etag(`"a"`), true},
		{noneMatch(`"a"`), etag(`W/"a"`), true},
		{noneMatch(`"x", W/"y" ,,"a"`), etag(`"a"`), true},
		{noneMatch(`"x"`, `"a"`), etag(`"a"`), true},
		{noneMatch(`"x,a", "y\", "a"`), etag(`"a"`), true},
		{noneMatch(`"x,a"`), etag(`"x,a"`), true},
		{noneMatch(`a`), etag(`a`), true},
		{noneMatch(`x, a , y`), etag(`a`), true},
		{noneMatch(`"a`), etag(`"a`), true},
		{noneMatch(`""`), etag(`""`), true},
		{noneMatch(`"x"`), etag(`"a"`), false},
		{noneMatch(`"A"`), etag(`"a"`), false},
		{noneMatch(`a`), etag(`"a"`), false},
		{noneMatch(`"x, "a""`), etag(`"a"`), false},
		{noneMatch(`*`), etag(`"a"`), false},
		{noneMatch(`*`), etag(`*`), false},
		{noneMatch(`W/`), etag(`W/`), false},
		{noneMatch(``), etag(`"a"`), false},
		{noneMatch(`"a"`), nil, false},
		{nil, etag(`"a"`), false},

		{since(earlier), modified(earlier), true},
		{since(later), modified(earlier), true},
		{since("Tuesday, 14-Nov-23 22:13:20 GMT"), modified("Tue Nov 14 22:13:20 2023"), true},
		{since(earlier), modified(later), false},
		{since("yesterday"), modified(earlier), false},
		{since(earlier), modified("yesterday"), false},
		{since(earlier), nil, false},
		{nil, modified(earlier), false},
		{since(later), http.Header{"Last-Modified": {earlier}, "Etag": {`"a"`}}, false},
		{http.Header{"If-None-Match": {`"x"`}, "If-Modified-Since": {later}}, modified(earlier), false},
		{http.Header{"If-None-Match": {`"a"`}, "If-Modified-Since": {earlier}},
			http.Header{"Etag": {`"a"`}, "Last-Modified": {later}}, true},
	} {
		if got := met(t, rules, test.request, 200, test.header, []byte("body")); got != test.want {
			t.Errorf("%v: %v: got %t", test.request, test.header, got)
		}
		if met(t, rules, test.request, 206, test.header, []byte("body")) {
			t.Errorf("%v: %v: a part of the body was taken for nothing new", test.request, test.header)
		}
		if met(t, provisioned(t, Default()), test.request, 200, test.header, []byte("body")) {
			t.Errorf("%v: %v: nobody asked for a comparison", test.request, test.header)
		}
	}
}

func TestUnchangedMeetsBackendsOwn304(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: new(Unchanged)})
	if !met(t, rules, http.Header{"If-None-Match": {`"a"`}}, 304, http.Header{"Etag": {`"a"`}}, nil) {
		t.Error("a 304 was taken for news")
	}
}

func TestRulesDifferComparesAnswersOfOneDate(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/clock"}}, Body: []string{"[]"}})
	dated := http.Header{"Last-Modified": {earlier}}
	for _, test := range []struct {
		before, body string
		want         bool
	}{
		{"one", "one", false}, {"one", "two", true}, {`{"clock":1}`, `{"clock":2}`, false}, {"one", "[]", false},
	} {
		if got := rules.Differ(200, dated, []byte(test.body), dated, []byte(test.before)); got != test.want {
			t.Errorf("%q after %q: %t", test.body, test.before, got)
		}
	}
}

func TestRulesTagLeavesBackendsValidator(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: new(Unchanged)})
	tag := rules.Tag(200, nil, []byte("body"))
	if !strings.HasPrefix(tag, `"parker-`) || !strings.HasSuffix(tag, `"`) || strings.Count(tag, `"`) != 2 {
		t.Errorf("the tag is %s", tag)
	}
	if !rules.Met(http.Header{"If-None-Match": {tag}}, 200, http.Header{"Etag": {tag}}, []byte("body")) {
		t.Error("an answer was not held for the client that has it")
	}
	for _, status := range []int{201, 202, 203, 207, 226} {
		if tag := rules.Tag(status, nil, []byte("body")); !rules.Met(http.Header{"If-None-Match": {tag}}, status, http.Header{"Etag": {tag}}, []byte("body")) {
			t.Errorf("an answer %d was not held by its tag %s", status, tag)
		}
	}
	for _, date := range []string{"", "0", "-1", "Tue, 14 Nov 2023 22:13:20 +0000", "2023-11-14T22:13:20Z", "Tue, 14 Nov 2023 23:13:20 CET"} {
		if got := rules.Tag(200, http.Header{"Last-Modified": {date}}, []byte("body")); got != tag {
			t.Errorf("with the date %q the tag is %q", date, got)
		}
	}
	for _, test := range []struct {
		rules  *Rules
		status int
		header http.Header
	}{
		{rules, 204, nil},
		{rules, 205, nil},
		{rules, 206, nil},
		{rules, 304, nil},
		{rules, 404, nil},
		{rules, 200, http.Header{"Etag": {`"a"`}}},
		{rules, 200, http.Header{"Last-Modified": {earlier}}},
		{rules, 200, http.Header{"Last-Modified": {"Tuesday, 14-Nov-23 22:13:20 GMT"}}},
		{rules, 200, http.Header{"Content-Type": {"text/event-stream"}}},
		{provisioned(t, Default()), 200, nil},
	} {
		if tag := test.rules.Tag(test.status, test.header, []byte("body")); tag != "" {
			t.Errorf("%d %v got the tag %s", test.status, test.header, tag)
		}
	}
}

func TestRulesUnmodifiedKnowsTagWithSuffix(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/clock"}}})
	strong, weak := rules.Tag(200, nil, []byte("body")), rules.Tag(200, nil, []byte(`{"clock":1}`))
	marked := func(tag, mark string) string { return strings.TrimSuffix(tag, `"`) + mark + `"` }
	holds := func(request, tag string) bool {
		return rules.Met(http.Header{"If-None-Match": {request}}, 200, http.Header{"Etag": {tag}}, []byte("any"))
	}
	for _, tag := range []string{strong, weak} {
		for _, mark := range []string{"", "-gzip", ";gzip", "--gzip", "-br", "/brotli", ":zstd", "-gzip-br", "-"} {
			if !holds(marked(tag, mark), tag) || !holds(`"x", W/"parker-y-gzip" ,`+marked(tag, mark)+`,"z"`, tag) {
				t.Errorf("%s was not known by %s", tag, marked(tag, mark))
			}
			if !holds(tag, marked(tag, mark)) || !holds("W/"+strings.TrimPrefix(marked(tag, mark), "W/"), tag) {
				t.Errorf("%s was not known by %s", marked(tag, mark), tag)
			}
		}
	}
	for _, test := range []struct{ request, tag string }{
		{marked(weak, "-gzip"), strong},
		{strings.TrimSuffix(strong, `"`) + "-gzip", strong},                          // no quote at its end
		{strong[:len(strong)-2] + `"`, strong},                                       // too short
		{strings.Replace(marked(strong, "-gzip"), "parker-", "parker-A", 1), strong}, // moved by one
		{`"parker-` + strings.Repeat("!", 22) + `-gzip"`, `"parker-` + strings.Repeat("!", 22) + `"`},
		{`"v1-gzip"`, `"v1"`},
		{`"parker-gzip"`, `"parker"`},
	} {
		if holds(test.request, test.tag) {
			t.Errorf("%s was taken for %s", test.request, test.tag)
		}
	}
}

func TestRulesTagTellsBytesAndCodingsApart(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: new(Unchanged)})
	text := []byte(strings.Repeat("[1, 2] ", 100))
	seen := map[string]string{rules.Tag(200, nil, append(text, 'x')): "other bytes"}
	for what, tag := range map[string]string{
		"identity":     rules.Tag(200, nil, text),
		"gzip":         rules.Tag(200, encoding("gzip"), encoders["gzip"](text)),
		"zstd":         rules.Tag(200, encoding("zstd"), encoders["zstd"](text)),
		"an unknown":   rules.Tag(200, encoding("x-lzw"), text),
		"brotli":       rules.Tag(200, encoding("br"), encoders["br"](text)),
		"broken gzip":  rules.Tag(200, encoding("gzip"), []byte("broken")),
		"broken again": rules.Tag(200, encoding("gzip"), []byte("broken again")),
	} {
		if other, ok := seen[tag]; ok {
			t.Errorf("%s and %s share a tag", what, other)
		}
		seen[tag] = what
	}
	if rules.Tag(200, encoding("deflate"), bareDeflate(text)) != rules.Tag(200, encoding("deflate"), encoders["deflate"](text)) {
		t.Error("the same bytes compressed in two ways have two tags")
	}
	if rules.Tag(200, encoding("identity"), text) != rules.Tag(200, nil, text) {
		t.Error("identity is a coding")
	}
}

func TestRulesTagIgnoresExceptedParts(t *testing.T) {
	plain := provisioned(t, &Rules{Unchanged: new(Unchanged)})
	for _, test := range []struct {
		except []string
		a, b   string
		same   bool
	}{
		{[]string{"/clock"}, `{"m":[1],"clock":1}`, `{"clock":2, "m":[1]}`, true},
		{[]string{"/clock"}, `{"m":[1],"clock":1}`, `{"m":[1]}`, true},
		{[]string{"/clock"}, mark + `{"m":[1],"clock":1}`, mark + `{"m":[1],"clock":2}`, true},
		{[]string{"/clock"}, `{"m":[1],"clock":1}`, `{"m":[2],"clock":1}`, false},
		{[]string{"/clock"}, `{"m":{"clock":1}}`, `{"m":{"clock":2}}`, false},
		{[]string{"/clock"}, `{"clock":1,"n":9007199254740992}`, `{"clock":1,"n":9007199254740993}`, false},
		{[]string{"/clock", "/m/0/seen"}, `{"m":[{"seen":1,"x":1}],"clock":1}`, `{"m":[{"seen":2,"x":1}],"clock":2}`, true},
		{[]string{"/0", "/1"}, `[1,2,3]`, `[4,5,3]`, true},
		{[]string{"/0", "/0"}, `[1,2,3]`, `[4,2,3]`, true},
		{[]string{"/0", "/0"}, `[1,2,3]`, `[1,4,3]`, false},
		{[]string{"/0", "/0/x"}, `[{"x":1}]`, `[{"x":2}]`, true},
		{[]string{"/-"}, `[1]`, `[2]`, false},
		{[]string{"/m/*/seen"}, `{"m":[{"seen":1,"x":1},{"seen":2}]}`, `{"m":[{"seen":3,"x":1},{"seen":4}]}`, true},
		{[]string{"/m/*/seen"}, `{"m":[{"seen":1,"x":1},{"seen":2}]}`, `{"m":[{"seen":3,"x":2},{"seen":4}]}`, false},
		{[]string{"/m/*/seen"}, `{"m":{"seen":1,"x":1}}`, `{"m":{"seen":2,"x":1}}`, true},
		{[]string{"/m/*/seen"}, `{"m":{"seen":1}}`, `{"m":[{"seen":1}]}`, false},
		{[]string{"/m/*/0"}, `{"m":[[1,"up"],[2,"up"]]}`, `{"m":[[3,"up"],[4,"up"]]}`, true},
		{[]string{"/m/*"}, `{"m":[1,2]}`, `{"m":[1]}`, false},
		{[]string{"/clock"}, "{\"clock\":1,\"name\":\"\xfc\"}", "{\"clock\":1,\"name\":\"\xf6\"}", false},
		{[]string{"/clock"}, `{"clock":1,"name":"\ud800"}`, `{"clock":1,"name":"\ud801"}`, false},
		{[]string{"/clock"}, "{\"clock\":\"\xfc\"}", "{\"clock\":\"\xf6\"}", true},
	} {
		rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: test.except}})
		for name, encode := range encoders {
			a := rules.Tag(200, encoding(name), encode([]byte(test.a)))
			b := rules.Tag(200, encoding(name), encode([]byte(test.b)))
			if (a == b) != test.same {
				t.Errorf("except %q, %s: %s has %s, %s has %s", test.except, name, test.a, a, test.b, b)
			}
			if test.same && !strings.HasPrefix(a, `W/"parker-`) {
				t.Errorf("except %q: the tag %s is not weak", test.except, a)
			}
		}
		if plain.Tag(200, nil, []byte(test.a)) == plain.Tag(200, nil, []byte(test.b)) {
			t.Errorf("%s and %s share a strong tag", test.a, test.b)
		}
	}

	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/clock"}}})
	for _, text := range []string{"", "not json", `{"clock":1} x`, "{\"name\":\"\xfc\"}"} {
		if got, want := rules.Tag(200, nil, []byte(text)), plain.Tag(200, nil, []byte(text)); got != want {
			t.Errorf("%q is not a JSON document, but has the tag %s, not %s", text, got, want)
		}
	}
}
