package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// passes is a route that one poll goes through three times: the first ask, a wake-up
// without news, and a wake-up with news.
type passes struct {
	name  string
	route string // the content of the site block

	poll    poll
	channel string // "messages" if empty

	// What the backend must receive each time, and what the client must get at the end.
	// Both are also compared as a whole with the same route without parker; listed here
	// are the values that are not obvious. {host} is the site.
	seen, given fields
}

// secret is the bcrypt hash of the password "secret".
const secret = "$2a$04$Ywyvv/nkgYkaVxcZcYDIZemkhPrJsPguLcgxz7pY84uze3IqPd1wa"

func TestRoutesSeeEachPassAsWithoutParker(t *testing.T) {
	t.Parallel()
	backend := newRecorder(t)
	auth := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-User", "alice of "+r.Header.Get("X-Forwarded-Uri"))
	})
	cases := slices.Concat(throughRoutes, throughHandlers)
	var routes []string
	for _, c := range cases {
		routes = append(routes, c.route)
	}
	pair := startPair(t, routes, backend.Address, "AUTH="+auth, "SECRET="+secret)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, pair, i, backend) })
	}
}

// forms are the configuration formats that Caddy accepts.
var forms = map[string]func(t testing.TB, caddyfile, backend string, env ...string) *caddytest.Caddy{
	"Caddyfile": caddytest.Start,
	"JSON":      caddytest.StartAdapted,
}

func (c passes) run(t *testing.T, pair *pair, site int, backend *recorder) {
	channel := c.channel
	if channel == "" {
		channel = "messages"
	}
	backend.reset()
	plain := c.poll.with("Prefer: wait=0")
	held, bare := pair.parked(t, site, plain).unvaried(), pair.bare(t, site, plain)
	if held[":err"] != "" || held["Parker-Status"] != "parker; park=0.0; release=none; detail=wait" || held["Preference-Applied"] != "wait=0" {
		t.Errorf("a plain poll was answered %v", held)
	}
	compare(t, "a nothing-new answer", held.without("Parker-Status", "Preference-Applied", "Content-Length", "Transfer-Encoding"),
		bare.without("Content-Length", "Transfer-Encoding"))

	backend.reset()
	answered := pair.park(t, site, c.poll)
	pair.caddy.AwaitWaiting(t, channel, 1)
	pair.wake(t, channel)
	pair.caddy.AwaitWaiting(t, channel, 1)
	backend.news.Store(true)
	pair.wake(t, channel)
	given := (<-answered).unvaried()
	without := pair.bare(t, site, c.poll)

	seen := backend.seen()
	// Three asks with parker, or more if it looked again, and one without.
	last := len(seen) - 1
	if last < 3 {
		t.Fatalf("the backend was asked %d times: %v\n%v", len(seen), seen, given)
	}
	for pass, request := range seen[:last] {
		compare(t, fmt.Sprintf("the request of pass %d", pass+1), request, seen[last])
	}
	check(t, "the backend saw", seen[last], c.seen.at(site))
	if release := given["Parker-Status"]; !strings.HasSuffix(release, "; release=replay") {
		t.Errorf("Parker-Status is %q", release)
	}
	compare(t, "the answer", given.without("Parker-Status"), without)
	check(t, "the client got", given, c.given)
	check(t, "the client got", given, fields{":status": "200", "Set-Cookie": "visit=1; Path=/", "Via": "1.1 Caddy"}.minus(c.given))
}

// pair is a Caddy that serves each route twice: with parker and without.
type pair struct {
	caddy         *caddytest.Caddy
	with, without string // their addresses
}

// startPair serves the routes at site0.test and so on. They may use {$BACKEND} and the
// variables in env.
func startPair(t *testing.T, routes []string, backend string, env ...string) *pair {
	t.Helper()
	ports := caddytest.FreePorts(t, 2)
	p := &pair{with: ports[0], without: ports[1]}
	var caddyfile strings.Builder
	caddyfile.WriteString("http://{$SITE} {\n}\nhttp://{$HOOK} {\n parker_publish\n}\n")
	for i, route := range routes {
		fmt.Fprintf(&caddyfile, "http://%s:%s {\n%s\n}\n", host(i), port(p.with), acrossSites(route))
		fmt.Fprintf(&caddyfile, "http://%s:%s {\n%s\n}\n", host(i), port(p.without), withoutParker(route))
	}
	p.caddy = caddytest.Start(t, caddyfile.String(), backend, env...)
	p.caddy.AwaitServing(t, p.with, p.without, p.caddy.Hook)
	return p
}

func host(site int) string { return fmt.Sprintf("site%d.test", site) }

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// unnamed matches a parker directive that names no channel.
var unnamed = regexp.MustCompile(`(?m)^(\s*parker(?: [/@*]\S*)?)(?: \{)?$`)

// acrossSites adds across_sites to the directives that take the channel from the path.
// Only one site at a time has a poll on it.
func acrossSites(route string) string {
	return unnamed.ReplaceAllStringFunc(route, func(directive string) string {
		opening, block := strings.CutSuffix(directive, " {")
		if block {
			return opening + " {\nacross_sites"
		}
		return opening + " {\nacross_sites\n}"
	})
}

// withoutParker removes parker's directives, each of which begins a line.
func withoutParker(route string) string {
	var kept []string
	inside := false
	for line := range strings.Lines(route) {
		text := strings.TrimSpace(line)
		switch {
		case inside:
			inside = text != "}"
		case strings.HasPrefix(text, "parker"):
			inside = strings.HasSuffix(text, "{")
		default:
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func (p *pair) parked(t *testing.T, site int, q poll) fields {
	t.Helper()
	return <-p.park(t, site, q)
}

func (p *pair) park(t *testing.T, site int, q poll) <-chan fields {
	t.Helper()
	return q.send(t, p.with, host(site))
}

func (p *pair) bare(t *testing.T, site int, q poll) fields {
	t.Helper()
	return <-q.send(t, p.without, host(site))
}

// wake publishes on a channel with one parked request.
func (p *pair) wake(t *testing.T, channel string) {
	t.Helper()
	if published := p.caddy.Publish(t, channel, "", ""); !strings.Contains(published, `"released":1`) {
		t.Fatalf("a publish on %s did not release one request: %s", channel, published)
	}
}

func compare(t *testing.T, what string, got, want fields) {
	t.Helper()
	for name := range got.and(want) {
		if got[name] != want[name] {
			t.Errorf("%s has %s %q, but without parker %q", what, name, got[name], want[name])
		}
	}
}

func check(t *testing.T, what string, got, want fields) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s %s %q, want %q", what, name, got[name], value)
		}
	}
}
