package e2e

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestParkerWaitsOnEachChannelOfRequest(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	vars tenant {http.request.uri.path.0}
	parker fixed rooms/{path.1} users/{query.user} teams/{header.X-Team} visits/{cookie.visit} tenants/{vars.tenant} {method}:{host} rooms/7
	reverse_proxy {$BACKEND}
`), backend.Address)
	q := poll{line: "GET /acme/7?user=J%C3%BCrgen+%26+Co", header: []string{"X-Team: red/blue"}}
	answered := q.send(t, caddy.Site, "127.0.0.1")
	// Channels as written in the URL of the hook.
	channels := []string{"fixed", "rooms/7", "users/J%C3%BCrgen%20&%20Co", "teams/red/blue", "visits/1", "tenants/acme", "GET:127.0.0.1"}
	for i, channel := range channels {
		for _, channel := range channels {
			caddy.AwaitWaiting(t, channel, 1)
		}
		backend.news.Store(i == len(channels)-1)
		if published := caddy.Publish(t, channel, "", ""); !strings.Contains(published, `"released":1`) {
			t.Fatalf("a publish on %s was answered %s", channel, published)
		}
	}
	if given := <-answered; given[":body"] != news {
		t.Errorf("the poll was answered %v", given)
	}
	if n := len(backend.seen()); n != 1+len(channels) {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestChannelsThatAreInvalidWarnAndDoNotPark(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	handle /rooms {
		parker fixed rooms {query.room}
		reverse_proxy {$BACKEND}
	}
	handle {
		parker
		reverse_proxy {$BACKEND}
	}
`), backend.Address)
	targets := []string{
		"/rooms", "/rooms?room=", "/rooms?room=a%00b", "/rooms?room=a%0Ab", "/rooms?room=%FF", "/rooms?room=%C2%85",
		"/rooms?room=" + strings.Repeat("a", 256), "/",
	}
	for _, target := range targets {
		answer := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+target, "")
		if answer.Status != http.StatusOK || answer.Body != "[]" {
			t.Errorf("GET %.30s was answered %+v", target, answer)
		}
	}
	caddy.AwaitWaiting(t, "fixed", 0)
	if n := len(backend.seen()); n != len(targets) {
		t.Errorf("the backend was asked %d times, want once for each of %d", n, len(targets))
	}
	// The other handler warns last, and separately.
	const warning = `"msg":"request not held"`
	log := caddy.Stderr.String
	for deadline := time.Now().Add(caddytest.Patience); strings.Count(log(), warning) < 2 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := strings.Count(log(), warning); n != 2 || !strings.Contains(log(), "channel {http.request.uri.query.room}: evaluated placeholder") {
		t.Errorf("%d warnings of two handlers:\n%s", n, log())
	}
}

func TestPostPollLargerThanMaxBodyIsPassedOnWhole(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	caddy := caddytest.Start(t, withHook(`
	parker messages {
		methods  GET POST
		max_body 1KB
	}
	reverse_proxy {$BACKEND}
`), backend.Address)
	for name, q := range map[string]poll{
		"with its length":         {line: "POST /messages", body: strings.Repeat("0123456789", 1000)},
		"in pieces":               {line: "POST /messages", body: strings.Repeat("0123456789", 1000), chunked: true},
		"one byte too long":       {line: "POST /messages", body: strings.Repeat("a", 1001)},
		"in pieces, one too long": {line: "POST /messages", body: strings.Repeat("a", 1001), chunked: true},
		"of a GET":                {line: "GET /messages", body: strings.Repeat("a", 1001)},
	} {
		backend.reset()
		given := <-q.send(t, caddy.Site, "127.0.0.1")
		if given[":status"] != "200" || given[":body"] != "[]" {
			t.Errorf("%s: the poll was answered %v", name, given)
		}
		if seen := backend.seen(); len(seen) != 1 || seen[0][":body"] != q.body {
			t.Errorf("%s: the backend was asked %d times", name, len(seen))
		}
	}
	// A body of exactly the allowed length.
	q := poll{line: "POST /messages", body: strings.Repeat("a", 1000), chunked: true}
	backend.reset()
	answered := q.send(t, caddy.Site, "127.0.0.1")
	caddy.AwaitWaiting(t, "messages", 1)
	backend.news.Store(true)
	caddy.Publish(t, "messages", "", "")
	if given := <-answered; given[":body"] != news {
		t.Errorf("the poll was answered %v", given)
	}
	if seen := backend.seen(); len(seen) != 2 || seen[1][":body"] != q.body {
		t.Errorf("the backend was asked %d times", len(seen))
	}
}
