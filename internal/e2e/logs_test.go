package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// logged returns the log entries with the message.
func logged(c *caddytest.Caddy, message string) (entries []map[string]any) {
	for line := range strings.Lines(c.Stderr.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			entries = append(entries, entry)
		}
	}
	return entries
}

// awaitLog returns when everything that Caddy has logged so far has been read.
func awaitLog(t *testing.T, c *caddytest.Caddy) {
	t.Helper()
	end := fmt.Sprint("/", len(c.Stderr.String()), "/end-of-log")
	c.Administer(t, http.MethodGet, end, "") // which Caddy logs
	caddytest.Await(t, "the log is read", func() bool { return strings.Contains(c.Stderr.String(), end) })
}

// awaitLogged returns the log entries with the message once there are n of them.
func awaitLogged(t *testing.T, c *caddytest.Caddy, message string, n int) []map[string]any {
	t.Helper()
	caddytest.Await(t, fmt.Sprintf("%q is logged %d times", message, n), func() bool { return len(logged(c, message)) == n })
	return logged(c, message)
}

const loggedSite = `
{
	{$GLOBAL}
	%s
}
http://{$SITE} {
	log
	parker {path} everybody
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

// quietBackend starts a backend that has nothing new until the third ask.
func quietBackend(t *testing.T) string {
	asks := make(chan struct{}, 2)
	return caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asks <- struct{}{}:
			w.WriteHeader(http.StatusNoContent)
		default:
			fmt.Fprint(w, "news")
		}
	})
}

func TestLogDebugLinesTraceEachStepOfPoll(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, fmt.Sprintf(loggedSite, "debug"), quietBackend(t))
	poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?secret=of-the-client", "Cookie: session=of-the-client")
	for _, channel := range []string{"everybody", "%2Fmessages"} {
		caddy.AwaitWaiting(t, "everybody", 1)
		caddy.Publish(t, channel, "", "")
	}
	<-poll
	access := awaitLogged(t, caddy, "handled request", 1)[0]
	id, _ := access["uuid"].(string)
	if id == "" {
		t.Fatalf("the access log has no uuid: %v", access)
	}
	for message, want := range map[string][]map[string]any{
		"parked":   {{}, {}},
		"released": {{"cause": "published", "channel": "everybody"}, {"cause": "published", "channel": "/messages"}},
		"replayed": {{"reply": "nothing new"}, {"reply": "news, streamed"}},
	} {
		for i, entry := range awaitLogged(t, caddy, message, len(want)) {
			if entry["level"] != "debug" || entry["uuid"] != id || fmt.Sprint(entry["channels"]) != "[/messages everybody]" {
				t.Errorf("%s, entry %d is %v", message, i, entry)
			}
			for name, value := range want[i] {
				if entry[name] != value {
					t.Errorf("%s, entry %d has %s %v, want %v", message, i, name, entry[name], value)
				}
			}
			if strings.Contains(fmt.Sprint(entry), "of-the-client") {
				t.Errorf("%s, entry %d has a secret of the client: %v", message, i, entry)
			}
		}
	}
	for i, channel := range []string{"everybody", "/messages"} {
		if entry := awaitLogged(t, caddy, "published", 2)[i]; entry["channel"] != channel || entry["source"] != "hook" || entry["released"] != 1.0 {
			t.Errorf("published, entry %d is %v", i, entry)
		}
	}
}

func TestLogHasNoRequestAboveDebug(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, fmt.Sprintf(loggedSite, ""), quietBackend(t))
	poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
	for range 2 {
		caddy.AwaitWaiting(t, "everybody", 1)
		caddy.Publish(t, "everybody", "", "")
	}
	<-poll
	if access := awaitLogged(t, caddy, "handled request", 1)[0]; access["uuid"] != nil {
		t.Errorf("the access log has an ID that was not configured: %v", access)
	}
	for line := range strings.Lines(caddy.Stderr.String()) {
		var entry struct{ Logger, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && strings.Contains(entry.Logger, "parker") {
			t.Errorf("logged: %s", line)
		}
	}
}

// Releasing many requests does not flood the log.
func TestLogSamplesDebugLinesOfManyReleases(t *testing.T) {
	t.Parallel()
	const many = 1000
	caddy := caddytest.Start(t, fmt.Sprintf(loggedSite, "debug"), caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	var polls []<-chan caddytest.Answer
	for range many {
		polls = append(polls, caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages"))
	}
	caddy.AwaitWaiting(t, "everybody", many)
	caddy.Publish(t, "everybody", "text/plain", "a message")
	for _, poll := range polls {
		<-poll
	}
	awaitLogged(t, caddy, "handled request", many)
	if n := len(logged(caddy, "released")); n == 0 || n == many {
		t.Errorf("%d lines for %d releases", n, many)
	}
}

func TestLogShowsDisconnectedClients(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, fmt.Sprintf(loggedSite, ""), quietBackend(t))
	for n, accept := range []string{"*/*", "text/event-stream"} {
		visit, leave := context.WithCancel(t.Context())
		go caddytest.Do(visit, http.MethodGet, "http://"+caddy.Site+"/messages", "", "Accept: "+accept)
		caddytest.Await(t, accept+" is held", func() bool {
			var totals admin.Totals
			administer(t, caddy, http.MethodGet, "/parker/", http.StatusOK, &totals)
			return totals.Parked == 1
		})
		leave()
		group := awaitLogged(t, caddy, "handled request", n+1)[n]["parker"].(map[string]any)
		if group["outcome"] != "left" || group["held"] == 0.0 {
			t.Errorf("for %s, parker's group in the access log is %v", accept, group)
		}
	}
}

func TestLogShowsWhatReloadChanges(t *testing.T) {
	t.Parallel()
	const handover, broker, stop = "parked requests continue in the new configuration", "switched to another broker", "server is stopping, answering all parked requests"
	caddy := caddytest.Start(t, fmt.Sprintf(loggedSite, ""), nothingNew(t))
	caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
	caddy.AwaitWaiting(t, "everybody", 1)
	caddy.Reload(t, fmt.Sprintf(loggedSite, "grace_period 5s"))
	redis := caddytest.StartRedis(t)
	caddy.Reload(t, fmt.Sprintf(loggedSite, "parker {\n broker redis {\n url "+redis.URL+"\n }\n }"))
	for i, entry := range awaitLogged(t, caddy, handover, 2) {
		if entry["level"] != "info" || entry["held"] != 1.0 {
			t.Errorf("entry %d is %v", i, entry)
		}
	}
	if entry := awaitLogged(t, caddy, broker, 1)[0]; entry["level"] != "info" || entry["before"] != "memory" || entry["broker"] != "redis" {
		t.Errorf("the entry about the brokers is %v", entry)
	}
	caddy.Stop(t)
	if entry := awaitLogged(t, caddy, stop, 1)[0]; entry["level"] != "info" || entry["held"] != 1.0 {
		t.Errorf("the entry about the stop is %v", entry)
	}
}

// expectLogged checks how often the message is in the log.
func expectLogged(t *testing.T, caddy *caddytest.Caddy, message string, want int) {
	t.Helper()
	logged := func() int { return strings.Count(caddy.Stderr.String(), message) }
	caddytest.Await(t, fmt.Sprintf("%q is logged", message), func() bool { return logged() >= want })
	if got := logged(); got != want {
		t.Errorf("%q is logged %d times, want %d", message, got, want)
	}
}
