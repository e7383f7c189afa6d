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

// audience is a set of guests who visit one Caddy. Some guests are the same person.
type audience struct {
	guests    []*guest
	feeds     int  // how many of the two feeds are used
	reloads   bool // Caddy is reloaded during the test
	queues    bool // the timeout is so short that a queued poll may be answered 503
	minShared int  // how many asks must answer several polls or streams

	enough, last time.Time // between these the test ends as soon as enough was shared

	written [2]atomic.Int64 // entries of the feeds

	mu      sync.Mutex     // guards all below
	asks    map[string]int // how many polls each ask answered
	cookies map[string]int // how many answers had each cookie
}

// audienceRoute has parker in front of handlers that are chosen by everything that a
// route can match. The directive for the backend comes from the test, with %s for the name
// of the handler.
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

// audienceSite returns the route with a directive for the backend.
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

// personal is a backend that names the caller in each answer, from everything that it
// knows of the request. It has two feeds, of which only the number of entries is known.
type personal struct {
	entries [2]atomic.Int64
	asks    atomic.Int64
}

// unequal are the fields in which the requests of one person differ.
var unequal = []string{"Accept", "Accept-Encoding", "Content-Length", "Prefer"}

// callerOf returns a digest of the request. It ignores the order of cookies, and cookies
// that the backend has set itself.
func callerOf(r *http.Request) string {
	var cookies []string
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, "; ") {
			if !strings.HasPrefix(pair, "for=") {
				cookies = append(cookies, pair)
			}
		}
	}
	slices.Sort(cookies)
	var all strings.Builder
	fmt.Fprintf(&all, "%q\n", cookies)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name != "Cookie" && !slices.Contains(unequal, name) {
			fmt.Fprintf(&all, "%s: %q\n", name, r.Header[name])
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(all.String())))[:16]
}

// vary are different ways to write the fields by which the answers vary.
var vary = []string{"X-Tenant, Accept-Language", "accept-language , ,x-tenant", "Origin, ACCEPT-LANGUAGE,X-TENANT"}

// ServeHTTP answers late, with cookies, in parts and with long bodies at random.
func (b *personal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var feed, since int64
	fmt.Sscanf(r.URL.Path, "/feed/%d", &feed)
	fmt.Sscanf(r.URL.RawQuery, "since=%d", &since)
	if r.Method == http.MethodPost {
		b.entries[feed].Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	caller, ask := callerOf(r), b.asks.Add(1)
	entries := b.entries[feed].Load()
	time.Sleep(rand.N(3 * time.Millisecond))
	header := w.Header()
	header.Set("Cache-Control", "private, no-store")
	header.Set("Vary", vary[rand.N(len(vary))])
	header.Set("X-For", caller)
	header.Set("X-Ask", fmt.Sprint(ask))
	if rand.N(10) == 0 {
		header.Set("Set-Cookie", fmt.Sprintf("for=%s-%d", caller, ask))
	}
	switch {
	case entries > since:
		fmt.Fprintf(w, `{"for":%q,"ask":"%d","messages":[%d],`, caller, ask, entries)
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
		fmt.Fprintf(w, `{"for":%q,"ask":"%d","messages":[]}`, caller, ask)
	}
}

// newAudience returns guests of the persons, several for each, with the given protocols.
func newAudience(t *testing.T, caddy *caddytest.Secure, persons []person, guests int, protocols ...caddytest.Protocol) *audience {
	c := &audience{feeds: 2, minShared: 1, asks: make(map[string]int), cookies: make(map[string]int)}
	for i := range guests {
		p := persons[i%len(persons)]
		protocol := protocols[rand.N(len(protocols))]
		if p.as.Certificate != nil && protocol == caddytest.HTTP1 {
			protocol = caddytest.HTTP1TLS
		}
		v := &guest{person: p, client: caddy.ClientAs(t, protocol, p.as), audience: c}
		v.learnName(t)
		c.guests = append(c.guests, v)
	}
	c.enough, c.last = time.Now().Add(1500*time.Millisecond), time.Now().Add(caddytest.Patience)
	return c
}

// running reports whether the guests go on visiting.
func (c *audience) running() bool {
	return time.Now().Before(c.enough) || c.shared() < c.minShared && time.Now().Before(c.last)
}

// answered counts an answer or an event of an ask.
func (c *audience) answered(ask string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ask != "" {
		c.asks[ask]++
	}
}

// shared returns the number of asks with several answers.
func (c *audience) shared() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, answers := range c.asks {
		if answers > 1 {
			n++
		}
	}
	return n
}

// given counts an answer with the cookie, and reports whether it is the only one.
func (c *audience) given(cookie string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cookies[cookie]++
	return c.cookies[cookie] == 1
}

// name returns the guests that the backend calls by the name.
func (c *audience) name(known string) string {
	var names []string
	for _, v := range c.guests {
		if v.known == known {
			names = append(names, v.String())
		}
	}
	return fmt.Sprintf("%q %v", known, names)
}

// run lets all guests poll and listen, while the feeds are written to and published on.
// It calls meanwhile from time to time.
func (c *audience) run(t *testing.T, caddy *caddytest.Secure, meanwhile func()) {
	var visiting sync.WaitGroup
	for _, v := range c.guests {
		visiting.Go(func() { v.visit(t) })
	}
	for i := 1; c.running(); i++ {
		feed := rand.N(c.feeds)
		if rand.N(3) == 0 {
			caddy.Publish(t, fmt.Sprint("feed/", feed), "", "") // without news
		} else {
			caddytest.Do(t.Context(), http.MethodPost, fmt.Sprintf("http://%s/feed/%d", caddy.Site, feed), "")
			c.written[feed].Add(1)
		}
		if i%20 == 0 {
			meanwhile()
		}
		time.Sleep(rand.N(30 * time.Millisecond))
	}
	visiting.Wait()
	if n := c.shared(); n < c.minShared {
		t.Errorf("%d of %d asks were shared, too few for the test", n, len(c.asks))
	}
	t.Logf("%d asks were answered, %d of them shared", len(c.asks), c.shared())
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
			audience := newAudience(t, caddy, randomPersons(t, 12), 36, caddytest.Protocols...)
			audience.reloads = name == "with reloads"
			audience.run(t, caddy, func() {
				if audience.reloads {
					caddy.Reload(t, strings.Replace(site, options, fmt.Sprintf("%s\nmax_body %dKB", options, 50+rand.N(20)), 1))
				}
			})
		})
	}
	t.Run("similar users", func(t *testing.T) {
		t.Parallel()
		site := strings.Replace(audienceSite(proxied), "{$OPTIONS}", "reuse 20ms\nwatch 60ms\nasks 8\ntimeout 300ms", 1)
		caddy := caddytest.StartSecure(t, site, caddytest.Serve(t, new(personal).ServeHTTP))
		audience := newAudience(t, caddy, similarPersons(), 48, caddytest.HTTP1)
		audience.feeds, audience.queues, audience.minShared = 1, true, 10
		audience.run(t, caddy, func() {})
	})
}

func TestShareNeverGivesAnothersAnswerFromPHP(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root+"/index.php", personalPage)
	caddy := caddytest.StartSecure(t, strings.Replace(audienceSite(byPHP), "{$OPTIONS}", "reuse 30ms", 1), "", "ROOT="+root, "SOCKET="+startFPM(t, root))
	newAudience(t, caddy, randomPersons(t, 12), 36, caddytest.Protocols...).run(t, caddy, func() {})
}

// personalPage is [personal] as a PHP page that keeps its entries in a file.
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
