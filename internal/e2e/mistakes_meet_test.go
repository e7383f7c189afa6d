package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// unheardWrites maps configurations to whether no poll in them can hear of the writes.
var unheardWrites = map[string]struct {
	caddyfile string
	warned    bool
}{
	"another path":            {"http://{$SITE} {\n\tparker_notify /send*\n\tparker /messages\n}", true},
	"another name":            {"http://{$SITE} {\n\tparker_notify /send* message\n\tparker /messages messages\n}", true},
	"a name and a path":       {"http://{$SITE} {\n\tparker_notify /send* inbox\n\tparker /messages /messages*\n}", true},
	"a path by the block":     {"http://{$SITE} {\n\thandle /send* {\n\t\tparker_notify\n\t\tfile_server\n\t}\n\tparker /messages\n}", true},
	"paths by name":           {"http://{$SITE} {\n\t@write {\n\t\tpath /send /put\n\t\tmethod POST\n\t}\n\tparker_notify @write\n\tparker /messages /rooms/*\n}", true},
	"a name beside another":   {"http://{$SITE} {\n\tparker_notify /messages\n\tparker_notify /send message\n\tparker /messages\n}", true},
	"only for announcements":  {"http://{$SITE} {\n\tparker_notify /post.php updates\n\tparker_notify /close.php\n\tparker /updates.php updates\n}", false},
	"the same path":           {"http://{$SITE} {\n\tparker_notify /messages\n\tparker /messages\n}", false},
	"the same in capitals":    {"http://{$SITE} {\n\tparker_notify /Messages\n\tparker /messages\n}", false},
	"a path below":            {"http://{$SITE} {\n\tparker_notify /rooms/*\n\tparker /rooms/7\n}", false},
	"all writes":              {"http://{$SITE} {\n\tparker_notify\n\tparker /messages\n}", false},
	"all polls":               {"http://{$SITE} {\n\tparker_notify /send*\n\tparker\n}", false},
	"a placeholder":           {"http://{$SITE} {\n\tparker_notify /send*\n\tparker /messages {query.channel}\n}", false},
	"a template":              {"http://{$SITE} {\n\tparker_notify /send/* rooms/{path.1}\n\tparker /messages rooms/{query.room}\n}", false},
	"another site's name":     {"http://{$SITE} {\n\tparker_notify /send*\n\tparker /messages\n}\nhttp://{$HOOK} {\n\tparker /inbox send/{query.box}\n}", false},
	"a rewrite in front":      {"http://{$SITE} {\n\trewrite /send /messages\n\tparker_notify /send*\n\tparker /messages\n}", false},
	"a prefix taken off":      {"http://{$SITE} {\n\thandle_path /api/* {\n\t\tparker_notify\n\t}\n\thandle {\n\t\tparker /messages\n\t}\n}", false},
	"an expression":           {"http://{$SITE} {\n\t@write path_regexp ^/send\n\tparker_notify @write\n\tparker /messages\n}", false},
	"a named route":           {"&(poll) {\n\tparker\n}\nhttp://{$SITE} {\n\tparker_notify /send*\n\tinvoke /messages poll\n}", false},
	"piggybacked":             {"http://{$SITE} {\n\tparker_notify /send* {\n\t\tpiggyback\n\t}\n\tparker /messages\n}", false},
	"no polls at all":         {"http://{$SITE} {\n\tparker_notify /send*\n}", false},
	"others share the broker": {"{\n\t{$GLOBAL}\n\tparker {\n\t\tbroker redis\n\t}\n}\nhttp://{$SITE} {\n\tparker_notify /send*\n\tparker /messages\n}", false},
}

func TestMistakesWarnOfWritesWithoutListeners(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, "http://{$SITE} {\n}", "")
	for name, test := range unheardWrites {
		t.Run(name, func(t *testing.T) {
			before := len(logged(caddy, "writes wake nobody"))
			caddy.MustLoad(t, test.caddyfile)
			awaitLog(t, caddy)
			warnings := logged(caddy, "writes wake nobody")[before:]
			if (len(warnings) == 1) != test.warned || len(warnings) > 1 {
				t.Errorf("the warnings are %v", warnings)
			}
			for _, entry := range warnings {
				if at := fmt.Sprint(entry["at"]); entry["level"] != "warn" || !strings.HasPrefix(filepath.Base(at), "Caddyfile:") {
					t.Errorf("the warnings are %v", entry)
				}
			}
		})
	}
}

func TestMistakesWarnOfWritesOnReloadAndInJSON(t *testing.T) {
	t.Parallel()
	const message = "writes wake nobody"
	caddy := caddytest.StartAdapted(t, unheardWrites["another path"].caddyfile, "")
	if entry := awaitLogged(t, caddy, message, 1)[0]; fmt.Sprint(entry["publishes"], entry["waits"]) != "[send*] [messages]" || entry["at"] != nil {
		t.Errorf("the warnings are %v", entry)
	}
	caddy.Reload(t, unheardWrites["the same path"].caddyfile)
	caddy.Reload(t, unheardWrites["another name"].caddyfile)
	if entry := awaitLogged(t, caddy, message, 2)[1]; fmt.Sprint(entry["publishes"], entry["waits"]) != "[message] [messages]" {
		t.Errorf("the warnings are %v", entry)
	}
}
