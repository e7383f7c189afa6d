package e2e

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// audience is a Caddy with guests, of which some are the same person.
type audience struct {
	guests  []*guest
	enough  time.Time // it goes on until then, and until something was shared
	last    time.Time
	reloads bool // Caddy is reloaded meanwhile

	mu   sync.Mutex     // guards asks
	asks map[string]int // how many polls were answered by each ask
}

// route has parker in front of handlers that are chosen by all that a route can go by.
// The backend's directive comes from the test, with %s for what tells the handler.
const audienceRoute = `
(route) {
	vars team {header.X-Team}
	map {header.X-Role} {role} {
		staff   boss
		default guest
	}
	@feed path /feed/*
	parker_notify @feed {
		across_sites
	}
	parker @feed {
		across_sites
		nothing_new {
			status 204
			json /messages
		}
		{$OPTIONS}
	}
	@staff header X-Api-Key staff
	handle @staff {
		%[1]s
	}
	@near remote_ip 127.0.0.2 127.0.0.3
	handle @near {
		%[2]s
	}
	@red vars {vars.team} red
	handle @red {
		%[3]s
	}
	@boss expression "{role} == 'boss' || {tls_client_subject} != '' && {method} == 'GET'"
	handle @boss {
		%[4]s
	}
	handle {
		%[5]s
	}
}
http://{$SITE} {
	import route
}
https://{$TLS_SITE} {
	tls internal {
		client_auth {
			mode request
		}
	}
	import route
}
http://{$HOOK} {
	parker_publish
}
`

// audienceSite is the route with a directive for the backend.
func audienceSite(directive string) string {
	var handlers []any
	for _, name := range []string{"staff", "near", "red", "boss", "others"} {
		handlers = append(handlers, fmt.Sprintf(directive, name))
	}
	return fmt.Sprintf(audienceRoute, handlers...)
}

const (
	proxied = "reverse_proxy {$BACKEND} {\nheader_up X-Route %s\nheader_up X-Cert {tls_client_fingerprint}\n}"
	byPHP   = "php_fastcgi unix/{$SOCKET} {\nenv HTTP_X_ROUTE %s\nenv HTTP_X_CERT {tls_client_fingerprint}\nroot {$ROOT}\n}"
)

// personal is a backend that says in each answer whom it is for, by all that it is told
// of a request. It has two feeds of which only the number of entries is known.
type personal struct {
	entries [2]atomic.Int64
	asks    atomic.Int64
}

// unequal are the fields in which the requests of one person differ.
var unequal = []string{"Accept", "Accept-Encoding", "Content-Length", "Prefer"}

// callerOf digests what it is told of a request. A cookie that it has set itself may have
// come back.
func callerOf(r *http.Request) string {
	var all strings.Builder
	cookies := r.Cookies()
	delete(r.Header, "Cookie")
	for _, cookie := range cookies {
		if cookie.Name != "for" {
			r.AddCookie(cookie)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.Contains(unequal, name) {
			fmt.Fprintf(&all, "%s: %q\n", name, r.Header[name])
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(all.String())))[:16]
}

// ServeHTTP takes its time, sets cookies, streams and answers at length at random.
func (b *personal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var feed, since int64
	fmt.Sscanf(r.URL.Path, "/feed/%d", &feed)
	fmt.Sscanf(r.URL.RawQuery, "since=%d", &since)
	if r.Method == http.MethodPost {
		b.entries[feed].Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	caller := callerOf(r)
	entries := b.entries[feed].Load()
	time.Sleep(rand.N(3 * time.Millisecond))
	header := w.Header()
	header.Set("Cache-Control", "private, no-store")
	header.Set("X-For", caller)
	header.Set("X-Ask", fmt.Sprint(b.asks.Add(1)))
	if rand.N(10) == 0 {
		header.Set("Set-Cookie", "for="+caller)
	}
	switch {
	case entries > since:
		fmt.Fprintf(w, `{"for":%q,"messages":[%d],`, caller, entries)
		if rand.N(4) == 0 {
			w.(http.Flusher).Flush()
		}
		padding := 10
		if rand.N(10) == 0 {
			padding = 100_000
		}
		fmt.Fprintf(w, `"padding":%q}`, strings.Repeat(" ", padding))
	case rand.N(2) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprintf(w, `{"for":%q,"messages":[]}`, caller)
	}
}

// gather has each of the persons come several times, by any protocol.
func gather(t *testing.T, caddy *caddytest.Secure) *audience {
	c := &audience{asks: make(map[string]int)}
	persons := people(t, 12)
	for i := range 36 {
		p := persons[i%len(persons)]
		protocol := caddytest.Protocols[rand.N(len(caddytest.Protocols))]
		if p.as.Certificate != nil && protocol == caddytest.HTTP1 {
			protocol = caddytest.HTTP1TLS
		}
		v := &guest{person: p, client: caddy.ClientAs(t, protocol, p.as), audience: c}
		v.introduce(t)
		c.guests = append(c.guests, v)
	}
	c.enough, c.last = time.Now().Add(1500*time.Millisecond), time.Now().Add(caddytest.Patience)
	return c
}

func (c *audience) goesOn() bool {
	return time.Now().Before(c.enough) || c.shared() == 0 && time.Now().Before(c.last)
}

// answered counts a poll that was answered by an ask.
func (c *audience) answered(ask string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ask != "" {
		c.asks[ask]++
	}
}

// shared counts the asks by which several polls were answered.
func (c *audience) shared() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, polls := range c.asks {
		if polls > 1 {
			n++
		}
	}
	return n
}

// name says who it is that the backend calls so.
func (c *audience) name(known string) string {
	var names []string
	for _, v := range c.guests {
		if v.known == known {
			names = append(names, v.String())
		}
	}
	return fmt.Sprintf("%q %v", known, names)
}

// visit has all guests poll and listen, while feeds are written to and published on.
// Now and then meanwhile is called.
func (c *audience) visit(t *testing.T, caddy *caddytest.Secure, meanwhile func()) {
	var visiting sync.WaitGroup
	for _, v := range c.guests {
		visiting.Go(func() { v.visit(t) })
	}
	for i := 1; c.goesOn(); i++ {
		feed := fmt.Sprintf("feed/%d", rand.N(2))
		if rand.N(3) == 0 {
			caddy.Publish(t, feed, "", "") // for nothing
		} else {
			caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/"+feed, "")
		}
		if i%20 == 0 {
			meanwhile()
		}
		time.Sleep(rand.N(30 * time.Millisecond))
	}
	visiting.Wait()
	if c.shared() == 0 {
		t.Error("nothing was shared")
	}
	t.Logf("%d asks were given, %d of them to several", len(c.asks), c.shared())
}

func TestShareNeverGivesAnothersAnswer(t *testing.T) {
	for name, options := range map[string]string{
		"plainly":                  "timeout 55s",
		"with reuse and watch":     "reuse 30ms\nwatch 50ms",
		"with a queue and a delay": "asks 2\nspread 20ms",
		"with reloads":             "reuse 30ms",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := strings.Replace(audienceSite(proxied), "{$OPTIONS}", options, 1)
			caddy := caddytest.StartSecure(t, site, caddytest.Serve(t, new(personal).ServeHTTP))
			audience := gather(t, caddy)
			audience.reloads = name == "with reloads"
			audience.visit(t, caddy, func() {
				if audience.reloads {
					caddy.Reload(t, strings.Replace(site, options, fmt.Sprintf("%s\nmax_body %dKB", options, 50+rand.N(20)), 1))
				}
			})
		})
	}
}

func TestShareNeverGivesAnothersAnswerFromPHP(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root+"/index.php", personalPage)
	caddy := caddytest.StartSecure(t, strings.Replace(audienceSite(byPHP), "{$OPTIONS}", "reuse 30ms", 1), "", "ROOT="+root, "SOCKET="+startFPM(t, root))
	gather(t, caddy).visit(t, caddy, func() {})
}

// personalPage is what [personal] is, as a page of PHP with a file for its entries.
const personalPage = `<?php
$file = fopen(__DIR__ . '/entries' . basename(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) . '.txt', 'a+');
flock($file, LOCK_EX);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    fwrite($file, '.');
    http_response_code(204);
    exit;
}
$entries = strlen(stream_get_contents($file, -1, 0));
fclose($file);
$told = array_filter($_SERVER, fn($name) => str_starts_with($name, 'HTTP_') || $name === 'REMOTE_ADDR' || $name === 'SERVER_PROTOCOL', ARRAY_FILTER_USE_KEY);
foreach (['ACCEPT', 'ACCEPT_ENCODING', 'CONTENT_LENGTH', 'PREFER', 'CONNECTION'] as $name) {
    unset($told['HTTP_' . $name]);
}
ksort($told);
$caller = substr(hash('sha256', json_encode($told)), 0, 16);
header('Content-Type: application/json');
header('X-For: ' . $caller);
header('X-Ask: ' . bin2hex(random_bytes(6)));
$since = (int) ($_GET['since'] ?? 0);
echo json_encode(['for' => $caller, 'messages' => $entries > $since ? [$entries] : []]);
`
