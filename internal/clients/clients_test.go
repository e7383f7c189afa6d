// Package clients tests parker with real clients: browsers, npm's eventsource and curl,
// while their network is cut and restored. It compares what each client heard with what
// was published.
package clients

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

const site = `
{
	{$GLOBAL}
	parker {
		history {$HISTORY} 1h
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	parker_notify /messages
	parker /messages {
		sse {
			retry 100ms
			max_age {$AGE}
		}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// room is a Caddy in front of a backend that knows only plain polling.
type room struct {
	*caddytest.Secure

	behind   *caddytest.Proxy // leads to the backend
	from     string           // the position before the first event
	messages []string         // published at the hook
	writes   []string         // made through the proxy
}

// newRoom starts a room that keeps the given number of events for clients that return.
func newRoom(t *testing.T, history int) *room { return newRoomOfAge(t, history, "0s") }

// newRoomOfAge starts a room that ends each stream at the given age.
func newRoomOfAge(t *testing.T, history int, age string) *room {
	legacy := caddytest.NewLegacy(t)
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/messages" {
			legacy.ServeHTTP(w, r)
			return
		}
		http.ServeFile(w, r, "testdata/page.html")
	})
	behind := caddytest.StartProxy(t, backend)
	r := &room{behind: behind, Secure: caddytest.StartSecure(t, site, behind.Address, fmt.Sprint("HISTORY=", history), "AGE="+age)}
	var report struct{ Position string }
	if err := json.Unmarshal([]byte(r.report(t)), &report); err != nil {
		t.Fatal(err)
	}
	r.from = report.Position
	return r
}

// wire starts a proxy to the room for a protocol, and returns the URL at the proxy.
func (r *room) wire(t *testing.T, protocol caddytest.Protocol) (wire *caddytest.Proxy, url string) {
	server, scheme, host := r.Site, "http", "127.0.0.1"
	if protocol != caddytest.HTTP1 {
		server, scheme, host = r.TLSSite, "https", "localhost"
	}
	wire = caddytest.StartProxy(t, server)
	_, port, _ := net.SplitHostPort(wire.Address)
	return wire, scheme + "://" + net.JoinHostPort(host, port)
}

// report returns the hook's report of the channel.
func (r *room) report(t *testing.T) string {
	return caddytest.Do(t.Context(), http.MethodGet, "http://"+r.Hook+"/messages", "").Body
}

// awaitClients returns when exactly n clients wait, parked or on streams.
func (r *room) awaitClients(t *testing.T, n int) {
	t.Helper()
	caddytest.Await(t, fmt.Sprint(n, " clients wait"), func() bool {
		var report struct{ Waiting, Streams int }
		return json.Unmarshal([]byte(r.report(t)), &report) == nil && report.Waiting+report.Streams == n
	})
}

// publish publishes n events, every eighth of them a write.
func (r *room) publish(t *testing.T, n int) {
	t.Helper()
	for range n {
		if all := len(r.messages) + len(r.writes); all%8 == 7 {
			text := fmt.Sprint("write ", len(r.writes)+1)
			r.writes = append(r.writes, text)
			if post := caddytest.Do(t.Context(), http.MethodPost, "http://"+r.Site+"/messages", text); post.Status != http.StatusSeeOther {
				t.Fatalf("%s was answered %+v", text, post)
			}
			continue
		}
		text := fmt.Sprintf(`{"message":%d}`, len(r.messages)+1)
		r.messages = append(r.messages, text)
		r.Publish(t, "messages", "", text)
	}
}

// interruption is a way for a client to lose its connection. The client loses it when
// begin is called, and returns after end at the latest.
type interruption struct {
	name       string
	begin, end func(t *testing.T)
}

// cutting is an interruption by a network failure.
func (r *room) cutting(wire *caddytest.Proxy) interruption {
	return interruption{
		name: "the network was cut",
		begin: func(t *testing.T) {
			wire.Cut()
			r.awaitClients(t, 0)
		},
		end: func(*testing.T) { wire.Heal() },
	}
}

// exchange publishes before, during and after each interruption of the room's only
// client, and compares what it heard with what was published.
func (r *room) exchange(t *testing.T, listener *listener, interruptions ...interruption) {
	t.Helper()
	for i, interruption := range interruptions {
		r.awaitClients(t, 1)
		r.publish(t, 30)
		interruption.begin(t)
		r.publish(t, 40)
		interruption.end(t)
		r.publish(t, 30)
		r.awaitClients(t, 1)
		r.awaitHeard(t, listener, fmt.Sprintf("%s (%d)", interruption.name, i+1))
	}
	// A repeated event would arrive before this one.
	r.publish(t, 1)
	r.awaitHeard(t, listener, "all came to an end")
}

// awaitHeard returns when the client has heard everything published, and fails the test
// if it heard anything else.
func (r *room) awaitHeard(t *testing.T, l *listener, after string) {
	t.Helper()
	var fault string
	defer func() {
		if fault != "" {
			t.Errorf("after %s: %s\nheard: %q", after, fault, l.heard())
		}
	}()
	compared := -1
	caddytest.Await(t, "all is heard", func() bool {
		heard := l.heard()
		if len(heard) != compared {
			compared = len(heard)
			fault = r.compare(heard, l.cumulative)
		}
		return fault == ""
	})
}

// compare describes what is wrong with what a client heard, and returns an empty string
// if nothing is. Each answer of the backend has all writes so far if answers are
// cumulative, or those since the last answer. A stream may repeat an answer when it
// resumes.
func (r *room) compare(heard []string, cumulative bool) string {
	var messages, writes []string
	for _, text := range heard {
		var answer []string
		if json.Unmarshal([]byte(text), &answer) != nil {
			messages = append(messages, text)
			continue
		}
		if !cumulative {
			answer = slices.Concat(writes, answer)
		}
		if len(answer) < len(writes) || !slices.Equal(answer[:len(writes)], writes) {
			return fmt.Sprintf("an answer told the writes %q after %q", answer, writes)
		}
		writes = answer
	}
	if fault := difference("message", messages, r.messages); fault != "" {
		return fault
	}
	return difference("write", writes, r.writes)
}

// difference describes the first difference between what was heard and what was
// published.
func difference(what string, heard, published []string) string {
	for i, text := range published {
		if i >= len(heard) {
			return fmt.Sprintf("%d of %d %ss were heard", i, len(published), what)
		}
		if heard[i] != text {
			return fmt.Sprintf("%s %d was heard as %s", what, i+1, heard[i])
		}
	}
	if n := len(published); len(heard) > n {
		return fmt.Sprintf("a %s was heard that was not published, or once too often: %s", what, heard[n])
	}
	return ""
}

// listener collects what a client hears.
type listener struct {
	cumulative bool // the client always asks for all writes

	mu    sync.Mutex // guards texts
	texts []string
}

func (l *listener) hear(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, text)
}

func (l *listener) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = nil
}

func (l *listener) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.texts)
}

// await returns when the client has heard the text.
func (l *listener) await(t *testing.T, text string) {
	t.Helper()
	caddytest.Await(t, text+" is heard", func() bool { return slices.Contains(l.heard(), text) })
}
