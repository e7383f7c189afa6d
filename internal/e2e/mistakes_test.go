package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// mistaken maps parts of sites to the expected warnings: the line and the start of the
// message, then a part of the hint.
type mistaken map[string]struct {
	site  string
	warns []string
}

// check lets Caddy adapt each of them.
func (m mistaken) check(t *testing.T) {
	t.Helper()
	caddy := caddytest.Start(t, "http://{$SITE} {\n}", "")
	for name, test := range m {
		t.Run(name, func(t *testing.T) {
			text := test.site
			if !strings.Contains(text, "http://") {
				text = "http://a.example {\n" + text + "\n}"
			}
			before := len(caddy.Stderr.String())
			if adapted := caddy.Administer(t, http.MethodPost, "/adapt", text, "Content-Type: text/caddyfile"); adapted.Status != http.StatusOK {
				t.Fatalf("%+v", adapted)
			}
			awaitLog(t, caddy)
			warnings := mistakesIn(caddy.Stderr.String()[before:])
			if len(warnings) != len(test.warns) {
				t.Errorf("there are %d warnings, want %d: %s", len(warnings), len(test.warns), strings.Join(warnings, "\n"))
			}
			for _, want := range test.warns {
				want, hint, _ := strings.Cut(want, " … ")
				if !slices.ContainsFunc(warnings, func(got string) bool {
					return strings.HasPrefix(got, want) && strings.Contains(got, hint)
				}) {
					t.Errorf("no warning is %q with %q: %s", want, hint, strings.Join(warnings, "\n"))
				}
			}
		})
	}
}

// mistakesIn returns the mistakes that a log warns of, each as its line, message and
// hint.
func mistakesIn(log string) (warnings []string) {
	for line := range strings.Lines(log) {
		var entry struct{ Level, Logger, Msg, At, Hint string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "warn" && entry.Logger == "parker" {
			_, at, _ := strings.Cut(filepath.Base(entry.At), ":")
			warnings = append(warnings, fmt.Sprintf("%s: %s: %s", at, entry.Msg, entry.Hint))
		}
	}
	return warnings
}

func TestMistakesWarnOfOptionsOnDirectiveLine(t *testing.T) {
	t.Parallel()
	mistaken{
		"with a value": {"\n\tparker /p ch timeout 20s", []string{`3: option used as a channel … parker uses "timeout", "20s" as channels`}},
		"several": {"\tparker /p watch 1s asks 8 share public", []string{
			`2: option used as a channel … { watch 1s }`, `2: option used as a channel … { asks 8 }`, `2: option used as a channel … { share public }`,
		}},
		"with placeholders":         {"\tparker /p supersede {remote_host} {header.Cookie}", []string{`2: option used as a channel … "supersede", "{http.request.remote.host}", "{http.request.header.Cookie}"`}},
		"before a block":            {"\tparker ch hold messages {\n\t\ttimeout 20s\n\t}", []string{`2: option used as a channel … { hold messages }`}},
		"without its value":         {"\tparker /p ch max_body", []string{`2: option used as a channel … "max_body"`}},
		"of a word":                 {"\tparker_notify /p ch piggyback", []string{`2: option used as a channel … parker_notify uses "piggyback"`}},
		"of parker_notify":          {"\tparker_notify /p ch status 2xx", []string{`2: option used as a channel … { status 2xx }`}},
		"in a handle block":         {"\thandle /p {\n\t\tparker ch reuse 1s\n\t}", []string{`3: option used as a channel … { reuse 1s }`}},
		"in a snippet":              {"(poll) {\n\tparker /p ch timeout 20s\n}\nhttp://a.example {\n\timport poll\n\timport poll\n}", []string{`2: option used as a channel`}},
		"a channel of the name":     {"\tparker_notify /p status", nil},
		"such a channel and others": {"\tparker /p answer question", nil},
		"another's option":          {"\tparker /p ch status 2xx", nil},
		"an invalid value":          {"\tparker /p timeout soon", nil},
		"any text as a value":       {"\tparker /p name age", nil},
		"in quotes":                 {"\tparker /p \"timeout\" 20s", nil},
		"in the block":              {"\tparker /p ch {\n\t\ttimeout 20s\n\t}", nil},
	}.check(t)
}

func TestMistakesWarnOfUnknownPlaceholders(t *testing.T) {
	t.Parallel()
	unknown := func(line int, name string) string {
		return fmt.Sprintf("%d: unknown placeholder … {%s} is not a placeholder of Caddy", line, name)
	}
	mistaken{
		"in a channel":         {"\tparker /p rooms/{headers.X}", []string{unknown(2, "headers.X")}},
		"in a write's channel": {"\tparker_notify /p {remote_hots}", []string{unknown(2, "remote_hots")}},
		"in a value": {"\tparker /p ch {\n\t\tshare {header.X}\n\t\tsupersede {remote_host} {cookies.session}\n\t}",
			[]string{unknown(4, "cookies.session")}},
		"with a dot too many":     {"\tparker /p {cookie.a.b}", []string{unknown(2, "cookie.a.b")}},
		"several, and one twice":  {"\tparker /p {a} {b}{a}", []string{unknown(2, "a"), unknown(2, "b")}},
		"that another site sets":  {"http://a.example {\n\tmap {path} {mine} {\n\t\tdefault 1\n\t}\n}\nhttp://b.example {\n\tparker /p {mine}\n}", []string{unknown(7, "mine")}},
		"of a request":            {"\tparker /p {host}{uri} {header.X}{query.a}{cookie.b}{path.1}{labels.2} {client_ip} {tls_client_fingerprint}", nil},
		"of a request, in full":   {"\tparker /p {http.request.header.X} {http.request.anything}", nil},
		"of handlers in front":    {"\tparker /p {http.auth.user.id} {vars.a} {re.b.1} {rp.header.X} {http.matchers.file.relative}", nil},
		"of the system":           {"\tparker /p {env.ROOM} {file./run/room} {system.hostname} {time.now.year}", nil},
		"of a map":                {"\tmap {path} {mine} {other} {\n\t\t/a 1 2\n\t}\n\tparker /p {mine}-{other}", nil},
		"of a map further in":     {"\troute {\n\t\tmap {path} {mine} {\n\t\t\tdefault 1\n\t\t}\n\t\tparker /p {mine}\n\t}", nil},
		"of a named route":        {"&(name) {\n\tmap {path} {mine} {\n\t\tdefault 1\n\t}\n}\nhttp://a.example {\n\troute {\n\t\tinvoke name\n\t\tparker /p {mine}\n\t}\n}", nil},
		"in a named route":        {"&(name) {\n\tparker /p {mine}\n}\nhttp://a.example {\n\tinvoke name\n}", nil},
		"escaped":                 {"\tparker /p \\{mine\\}", nil},
		"in a plain option":       {"\tparker /p ch {\n\t\tnothing_new {\n\t\t\tbody {none}\n\t\t\tmatch ^{none}$\n\t\t}\n\t}", nil},
		"without a closing brace": {"\tparker /p rooms/{mine", nil},
	}.check(t)
}

func TestMistakesWarnOfOverlappingParkers(t *testing.T) {
	t.Parallel()
	const warning = "two parker directives hold the same requests"
	mistaken{
		"paths that overlap": {"parker /api/* a\nparker /api/chat b\nrespond []", []string{"3: " + warning + " … Caddyfile:2"}},
		"one for all":        {"parker /api/* a\nparker b\nrespond []", []string{"3: " + warning}},
		"in a handle":        {"parker a\nhandle /api/* {\nparker b\nrespond []\n}", []string{"4: " + warning}},
		"paths apart":        {"parker /api/* a\nparker /chat b\nrespond []", nil},
		"handles":            {"handle /api/* {\nparker a\nrespond []\n}\nhandle {\nparker b\nrespond []\n}", nil},
		"a path in a handle": {"parker /chat a\nhandle /api/* {\nparker b\nrespond []\n}", nil},
		"other methods":      {"parker /p a\nparker /p b {\nmethods POST\n}\nrespond []", nil},
		"another matcher":    {"@get {\nmethod GET\npath /api/*\n}\nparker @get a\nparker /api/* b\nrespond []", nil},
	}.check(t)
}

func TestMistakesWarnOfPageLoadsThatAreNotSeen(t *testing.T) {
	t.Parallel()
	const compares = "parker a {\nnothing_new {\nunchanged\n}\n}\nrespond []\n"
	mistaken{
		"in a handle":              {"handle /api/* {\n" + compares + "}", []string{"3: page loads are not seen … add the line parker_page_loads to the site block, outside of handle"}},
		"in a site of one path":    {"http://a.example/api {\n" + compares + "}", []string{"2: page loads are not seen … only requests for /api enter this block"}},
		"with parker_page_loads":   {"parker_page_loads\nhandle /api/* {\n" + compares + "}", nil},
		"in a route":               {"route {\n" + compares + "}", nil},
		"in the site":              {compares, nil},
		"answers are not compared": {"handle /api/* {\nparker a\nrespond []\n}", nil},
		"twice in a snippet":       {"(p) {\nhandle /api/* {\n" + compares + "}\n}\nhttp://a.example {\nimport p\n}\nhttp://b.example {\nimport p\n}", []string{"3: page loads are not seen"}},
	}.check(t)
}

func TestMistakesWarnOfBodiesThatAreNotHeld(t *testing.T) {
	t.Parallel()
	const matcher = "@poll {\npath /rpc\nparker_body json /method poll\n}\n"
	mistaken{
		"GET alone":   {matcher + "parker @poll a\nrespond []", []string{"6: requests with a body are not held … add 'methods POST'"}},
		"POST":        {matcher + "parker @poll a {\nmethods POST\n}\nrespond []", nil},
		"GET as well": {matcher + "parker @poll a {\nmethods GET POST\n}\nrespond []", nil},
		"of a write":  {matcher + "parker /p a\nparker_notify @poll a\nrespond []", nil},
	}.check(t)
}
