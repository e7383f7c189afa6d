package nothingnew

import (
	"net/http"
	"strings"
	"testing"
)

func TestRulesWhyNewsNamesUnmetRule(t *testing.T) {
	unchanged := &Rules{Unchanged: new(Unchanged)}
	both := &Rules{Body: []string{"[]"}, Unchanged: new(Unchanged)}
	tagged := http.Header{"Etag": {`"a"`}}
	dated := http.Header{"Last-Modified": {later}}
	for _, test := range []struct {
		rules   *Rules
		request http.Header
		status  int
		header  http.Header
		body    string
		want    string
	}{
		{Default(), nil, 200, nil, "[]", ""},
		{Default(), nil, 200, nil, "[1]", "no rule matches"},
		{Default(), nil, 404, nil, "[]", "no rule matches, and bodies of answers with status 404 are not checked"},
		{Default(), nil, 206, nil, "[]", "no rule matches, and bodies of answers with status 206 are not checked"},
		{Default(), nil, 200, encoding("x-lzw"), "[]", `no rule matches, and the body cannot be decoded: unknown content coding "x-lzw"`},
		{Default(), nil, 200, encoding("br"), "[]", "no rule matches, and the body cannot be decoded: decoding br: "},
		{Default(), nil, 200, encoding("gzip", "gzip,gzip", "gzip, gzip"), "[]", "no rule matches, and the body cannot be decoded: the body has too many content codings"},
		{Default(), nil, 200, nil, strings.Repeat(" ", testMaxBody+1), "the body is longer than 65536 bytes"},
		{Default(), nil, 200, http.Header{"Content-Type": {"text/event-stream"}}, "", "it is an event stream"},
		{&Rules{Status: []int{204}}, nil, 404, encoding("x-lzw"), "[]", "no rule matches"},
		{&Rules{All: [][]Rules{{{Status: []int{404}}, {Body: []string{""}}}}}, nil, 404, nil, "x", "no rule matches"},
		{&Rules{All: [][]Rules{{{Header: map[string][]string{"X": nil}}, {Body: []string{""}}}}}, nil, 200, nil, "", "no rule matches"},
		{&Rules{All: [][]Rules{{{Header: map[string][]string{"X": nil}}, {Body: []string{""}}}}}, nil, 200, encoding("x-lzw"), "x", `no rule matches, and the body cannot be decoded: unknown content coding "x-lzw"`},
		{&Rules{All: [][]Rules{{{Header: map[string][]string{"X": nil}}}}}, nil, 200, encoding("x-lzw"), "x", "no rule matches"},

		{unchanged, http.Header{"If-None-Match": {`"a"`}}, 200, tagged, "x", ""},
		{unchanged, nil, 200, tagged, "x", "unchanged: the request has no If-None-Match"},
		{unchanged, http.Header{"If-None-Match": {`"b"`}}, 200, tagged, "x", "unchanged: If-None-Match does not contain the answer's ETag"},
		{unchanged, http.Header{"If-None-Match": {`"b"`}}, 200, dated, "x", "unchanged: the request has If-None-Match, but the answer has no ETag"},
		{unchanged, http.Header{"If-Modified-Since": {earlier}}, 200, tagged, "x", "unchanged: the request has no If-None-Match"},
		{unchanged, nil, 200, dated, "x", "unchanged: the request has neither If-None-Match nor If-Modified-Since"},
		{unchanged, http.Header{"If-Modified-Since": {"0"}}, 200, dated, "x", "unchanged: If-Modified-Since is not an HTTP date"},
		{unchanged, http.Header{"If-Modified-Since": {earlier}}, 200, dated, "x", "unchanged: the answer is newer than If-Modified-Since"},
		{unchanged, nil, 200, nil, "x", "unchanged: the answer has neither an ETag nor a date in Last-Modified"},
		{unchanged, nil, 204, nil, "", "unchanged: answers with status 204 are not compared"},
		{both, nil, 200, tagged, "x", "no rule matches; unchanged: the request has no If-None-Match"},
	} {
		got := provisioned(t, test.rules).WhyNews(test.request, test.status, test.header, []byte(test.body))
		if got != test.want && (!strings.HasSuffix(test.want, ": ") || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%+v: %v, %d %v %.20q:\ngot  %s\nwant %s", test.rules, test.request, test.status, test.header, test.body, got, test.want)
		}
	}
}
