package e2e

import (
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestAccessLogShowsParkedPoll(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	log
	log_append released {http.parker.release}
	log_append parked {http.parker.park}
	log_append passes {http.parker.passes}
	log_append channels {http.parker.channels}
	log_append seen {vars.seen}
	parker /messages messages users/{query.user} {
		look_again off
	}
	parker /quiet
	handle /quiet {
		log_skip
		reverse_proxy {$BACKEND}
	}
	handle {
		vars seen inside
		reverse_proxy {$BACKEND}
	}
`), backend.Address)
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

	entries := awaitLogged(t, caddy, "handled request", 3) // the one with log_skip is missing
	for i, want := range []map[string]any{
		{"released": "message", "passes": 3.0, "channels": "messages users/1", "status": 200.0, "seen": "inside"},
		{"released": "none", "passes": 1.0, "channels": "messages users/2", "status": 200.0, "parked": "0.0", "seen": "inside"},
		{"released": nil, "parker": nil, "passes": nil, "channels": nil, "status": 200.0, "parked": nil, "seen": "inside"},
	} {
		for name, value := range want {
			if entries[i][name] != value {
				t.Errorf("entry %d has %s %v, want %v", i+1, name, entries[i][name], value)
			}
		}
	}
	for i, want := range []map[string]any{
		{"outcome": "message", "passes": 3.0, "channels": 2.0},
		{"outcome": "none", "passes": 1.0, "channels": 2.0, "held": 0.0},
	} {
		group := entries[i]["parker"].(map[string]any)
		for name, value := range want {
			if group[name] != value {
				t.Errorf("entry %d has in parker's group %s %v, want %v", i+1, name, group[name], value)
			}
		}
	}
	if held := entries[0]["parker"].(map[string]any)["held"].(float64); held <= 0 {
		t.Errorf("a request that was parked three times was held for %v s", held)
	}
}
