package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheAccessLogTellsHowAPollWent(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	log
	log_append parker {http.parker.release}
	log_append parked {http.parker.park}
	log_append passes {http.parker.passes}
	log_append channels {http.parker.channels}
	log_append seen {vars.seen}
	parker /messages messages users/{query.user}
	parker /quiet
	handle /quiet {
		log_skip
		reverse_proxy {$BACKEND}
	}
	handle {
		vars seen inside
		reverse_proxy {$BACKEND}
	}
}
http://{$HOOK} {
	parker_publish
}
`, backend.Address)
	site := "http://" + caddy.Site
	quiet := caddytest.Get(t.Context(), site+"/quiet")
	for _, message := range []string{"", "hello"} {
		caddy.AwaitWaiting(t, "quiet", 1)
		caddy.Publish(t, "quiet", "", message)
	}
	<-quiet

	parked := caddytest.Get(t.Context(), site+"/messages?user=1")
	for range 2 {
		caddy.AwaitWaiting(t, "messages", 1)
		caddy.Publish(t, "users/1", "", "")
	}
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "text/plain", "hello")
	<-parked
	caddytest.Do(t.Context(), http.MethodGet, site+"/messages?user=2", "", "Prefer: wait=0")
	caddytest.Do(t.Context(), http.MethodGet, site+"/other", "")

	var entries []map[string]any
	caddytest.Await(t, "three requests are logged, and the quiet one is not", func() bool {
		entries = nil
		for line := range strings.Lines(caddy.Stderr.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == "handled request" {
				entries = append(entries, entry)
			}
		}
		return len(entries) == 3
	})
	for i, want := range []map[string]any{
		{"parker": "message", "passes": 3.0, "channels": "messages users/1", "status": 200.0, "seen": "inside"},
		{"parker": "none", "passes": 1.0, "channels": "messages users/2", "status": 200.0, "parked": "0.0", "seen": "inside"},
		{"parker": nil, "passes": nil, "channels": nil, "status": 200.0, "parked": nil, "seen": "inside"},
	} {
		for name, value := range want {
			if entries[i][name] != value {
				t.Errorf("entry %d has %s %v, want %v", i+1, name, entries[i][name], value)
			}
		}
	}
}
