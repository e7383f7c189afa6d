package bodymatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestMatcherUnmarshalCaddyfileAddsRules(t *testing.T) {
	const text = `parker_body json /method web.update_ui 7 null
parker_body {
	json /*/error absent
	json /id
	form op rpc feed
	form data[time]
	match ^poll$
	max_body 1MB
}
parker_body form nonce
parker_body match "a b"`
	m := new(Matcher)
	if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatal(err)
	}
	const want = `{"json":[{"pointer":"/method","values":["web.update_ui",7,null]},{"pointer":"/*/error","absent":true},{"pointer":"/id"}],` +
		`"form":[{"name":"op","values":["rpc","feed"]},{"name":"data[time]"},{"name":"nonce"}],"match":["^poll$","a b"],"max_body":1000000}`
	if got, err := json.Marshal(m); string(got) != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestMatcherUnmarshalCaddyfileRefusesWithFileAndLine(t *testing.T) {
	for _, test := range []struct {
		text string
		line int
		says string
	}{
		{"", 1, "no rules are given, so no request would match: give json, form or match"},
		{"{\n}", 2, "no rules are given"},
		{"{\n\tmax_body 1KB\n}", 3, "no rules are given"},
		{"xml /a", 1, "expected json, form or match, got 'xml'"},
		{"max_body 1KB", 1, "expected json, form or match, got 'max_body'"},
		{"json", 1, "json: wrong argument count or unexpected line ending after 'json'"},
		{"json a", 1, "json: json \"a\": a JSON pointer must be empty or start with /"},
		{"json /a absent 1", 1, "json: absent cannot be combined with values"},
		{"json /a 9007199254740993", 1, "json: 9007199254740993: numbers of 2^53 and above are not exact in a Caddyfile"},
		{"json /a {\n\tmax_body 1KB\n}", 2, "json: wrong argument count or unexpected line ending after 'max_body'"},
		{"form", 1, "form: wrong argument count or unexpected line ending after 'form'"},
		{"form \"\"", 1, "form: form: the name is empty"},
		{"match", 1, "match: wrong argument count or unexpected line ending after 'match'"},
		{"match a b", 1, "match: wrong argument count or unexpected line ending after 'b'"},
		{"match (", 1, "match: match \"(\": "},
		{"{\n\tjson /a\n\tmatch (\n}", 3, "match: match \"(\": "},
		{"{\n\tjson /a b\n\n\tform\n}", 4, "form: wrong argument count or unexpected line ending after 'form'"},
		{"{\n\tjson /a\n\tmax_body 0\n}", 3, "max_body: bad size '0': must be at least one byte"},
		{"{\n\tmax_body 1KB\n\tmax_body 2KB\n\tjson /a\n}", 3, "max_body is given twice"},
		{"{\n\tcookie a\n}", 2, "unrecognized subdirective 'cookie'"},
	} {
		err := new(Matcher).UnmarshalCaddyfile(caddyfile.NewTestDispenser("parker_body " + test.text))
		if err == nil {
			t.Errorf("%q: no error", test.text)
			continue
		}
		if place := fmt.Sprintf(", at Testfile:%d", test.line); !strings.HasPrefix(err.Error(), test.says) || !strings.HasSuffix(err.Error(), place) {
			t.Errorf("%q: %v\nwant %q and %q", test.text, err, test.says, place)
		}
	}
}
