package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// limits are server time limits of five seconds, written in each way that Caddy knows.
// Caddy's default is a minute.
var limits = []struct{ name, servers, site string }{
	{name: "hard only", servers: "read_body 5s\n write 5s\n read_body_idle -1s\n write_idle -1s"},
	{name: "all", servers: "read_header 5s\n read_body 5s\n write 5s\n read_body_idle 5s 100000\n write_idle 5s 100000000",
		site: "timeouts {\n read_timeout 5s 100000\n write_timeout 5s 100000000\n}"},
}

// limitedSite takes the timeouts of the servers and a directive of the site.
const limitedSite = `
{
	{$GLOBAL}
	servers {$SITE} {
		timeouts {
			%[1]s
		}
	}
	servers 127.0.0.1:{$TLS_PORT} {
		timeouts {
			%[1]s
		}
	}
	parker {
		max_message 50MB
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	log
	%[2]s
	parker {
		methods GET POST
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// endless answers each path without end, as long as the proxy reads. Unless the path
// contains next, the first answer is an empty list.
type endless struct {
	mu    sync.Mutex // guards asked and ended
	asked map[string]bool
	ended map[string]bool
}

func (b *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	again := b.asked[r.URL.Path] || strings.HasSuffix(r.URL.Path, "/next/endless")
	b.asked[r.URL.Path] = true
	b.mu.Unlock()
	if !again {
		io.WriteString(w, "[]")
		return
	}
	block := make([]byte, 100_000)
	for r.Context().Err() == nil {
		w.Write(block)
	}
	b.mu.Lock()
	b.ended[r.URL.Path] = true
	b.mu.Unlock()
}

func (b *endless) hasEnded(path string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended[path]
}

// limited is a client whose requests are parked for longer than any limit.
type limited struct {
	*caddytest.Client
	answers map[string]<-chan caddytest.Answer // by the last part of their paths
	unread  <-chan opened
	upload  *io.PipeWriter // which the client has not sent completely
	refused <-chan opened
}

// opened is an answer of which only the header has been read.
type opened struct {
	*http.Response
	err error
}

// open reads only the header of the answer.
func open(t *testing.T, client *caddytest.Client, path string) <-chan opened {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(client, r)
}

func send(client *caddytest.Client, r *http.Request) <-chan opened {
	answered := make(chan opened, 1)
	go func() {
		answer, err := client.Transport.RoundTrip(r)
		answered <- opened{answer, err}
	}()
	return answered
}

// path returns a path that only this client asks for.
func (c *limited) path(name string) string {
	return "/" + strings.ReplaceAll(string(c.Protocol), " ", "-") + "/" + name
}

func TestTimeLimitsPauseWhileRequestIsHeld(t *testing.T) {
	t.Parallel()
	for _, limit := range limits {
		t.Run(limit.name, func(t *testing.T) {
			t.Parallel()
			pages, endless := caddytest.NewPages(t), &endless{asked: make(map[string]bool), ended: make(map[string]bool)}
			caddy := caddytest.StartSecure(t, fmt.Sprintf(limitedSite, limit.servers, limit.site), caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/endless") {
					endless.ServeHTTP(w, r)
				} else {
					pages.ServeHTTP(w, r)
				}
			}))
			var clients []*limited
			for _, protocol := range caddytest.Protocols {
				c := &limited{Client: caddy.Client(t, protocol), answers: make(map[string]<-chan caddytest.Answer)}
				clients = append(clients, c)
				c.park(t, caddy, pages)
			}
			// The polls that time out, after eight seconds, are answered first.
			for _, c := range clients {
				c.expect(t, "timeout", "[]", "timeout")
			}
			for _, c := range clients {
				c.release(t, caddy, pages)
			}
			for _, c := range clients {
				c.beSlow(t)
			}
			for _, c := range clients {
				slow := []string{c.path("endless"), c.path("next/endless")}
				if limit.name == "hard only" && c.Protocol == caddytest.HTTP3 {
					slow = slow[:1] // Caddy itself has no such limit here, and there is no hold to measure from
				} else {
					c.expectRefusal(t, caddy)
				}
				for _, path := range slow {
					caddytest.Await(t, "the client that does not read "+path+" is cut off", func() bool { return endless.hasEnded(path) })
				}
			}
		})
	}
}

// park parks a request for each way in which one is released.
func (c *limited) park(t *testing.T, caddy *caddytest.Secure, pages *caddytest.Pages) {
	for _, name := range []string{"timeout", "replay", "message", "upload"} {
		pages.Put(c.path(name), emptyList)
	}
	// The first request opens the one connection of HTTP/2 and 3.
	if g := c.Do(t.Context(), http.MethodGet, c.path("timeout"), "", "Prefer: wait=0"); g.Body != "[]" {
		t.Fatalf("by %s, a plain poll was answered %+v", c.Protocol, g)
	}
	c.answers["timeout"] = c.Get(t.Context(), c.path("timeout"), "Prefer: wait=8")
	c.answers["replay"] = c.Get(t.Context(), c.path("replay"))
	c.answers["message"] = c.Get(t.Context(), c.path("message"))
	uploaded := make(chan caddytest.Answer, 1)
	c.answers["upload"] = uploaded
	go func() { uploaded <- c.Do(t.Context(), http.MethodPost, c.path("upload"), "since=0") }()
	c.unread = open(t, c.Client, c.path("endless"))
	for _, name := range []string{"replay", "message", "upload", "endless"} {
		caddy.AwaitWaiting(t, c.path(name)[1:], 1)
	}
}

func (c *limited) expect(t *testing.T, name, body, release string) {
	t.Helper()
	expect(t, body, release, c.answers[name])
}

// release releases the others and uses their connections again.
func (c *limited) release(t *testing.T, caddy *caddytest.Secure, pages *caddytest.Pages) {
	message := strings.Repeat("hello", 20_000)
	for name, message := range map[string]string{"replay": "", "message": message, "upload": "", "endless": ""} {
		pages.Put(c.path(name), caddytest.Page{Body: "[1]"})
		caddy.Publish(t, c.path(name)[1:], "", message)
	}
	c.expect(t, "replay", "[1]", "replay")
	c.expect(t, "message", message, "message")
	c.expect(t, "upload", "[1]", "replay")
	if answer := <-c.unread; answer.err != nil {
		t.Errorf("by %s, endless was not answered: %v", c.Protocol, answer.err)
	}
	connections := c.Connections()
	c.answers["again"] = c.Get(t.Context(), c.path("replay"))
	c.expect(t, "again", "[1]", "none")
	if c.Connections() != connections {
		t.Errorf("by %s, the next request needed a new connection", c.Protocol)
	}
}

// beSlow sends two requests: one does not read its answer, the other stops in the
// middle of a poll's body.
func (c *limited) beSlow(t *testing.T) {
	open(t, c.Client, c.path("next/endless"))
	body, upload := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+c.path("slow"), body)
	if err != nil {
		t.Fatal(err)
	}
	c.upload, c.refused = upload, send(c.Client, r)
	upload.Write([]byte("since="))
}

// expectRefusal waits for Caddy's log first, because an HTTP/1.1 client that is refused
// still waits for its own body.
func (c *limited) expectRefusal(t *testing.T, caddy *caddytest.Secure) {
	caddytest.Await(t, "Caddy gives up a slow upload by "+string(c.Protocol), func() bool {
		return strings.Contains(caddy.Stderr.String(), `"uri":"`+c.path("slow")+`"`)
	})
	c.upload.CloseWithError(io.ErrUnexpectedEOF)
	if answer := <-c.refused; answer.err == nil && answer.StatusCode < 400 {
		t.Errorf("by %s, a slow upload was answered %s", c.Protocol, answer.Status)
	}
}
