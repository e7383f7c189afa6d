package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
	"github.com/caddy-parker/parker/internal/caddytest/tabs"
)

// wholeStateSite holds the polls of pages that get the whole state with each answer.
const wholeStateSite = `{
	{$GLOBAL}
	servers {
		protocols h1 h2
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	@rooms path /loop/* /timer/*
	parker_notify @rooms
	parker /loop/* {
		OPTIONS
		look_again off
		nothing_new {
			unchanged
			remember
		}
	}
	parker /timer/* {
		OPTIONS
		timer
		look_again off
		nothing_new {
			unchanged
			remember
		}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

// rooms is a backend with a state for each room, and for each session if there are any.
type rooms struct {
	mu     sync.Mutex // guards all below
	states map[string]*tabs.State
	asks   map[string]int
}

func newRooms() *rooms {
	return &rooms{states: make(map[string]*tabs.State), asks: make(map[string]int)}
}

// answer is what a room shows to a session.
type answer struct{ Value, Session string }

func sessionOf(r *http.Request) string {
	cookie, err := r.Cookie("session")
	if err != nil {
		return ""
	}
	return cookie.Value
}

// ServeHTTP serves a document at "/", and the rooms at all other paths. A POST changes the
// state of a room.
func (b *rooms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path == "/" {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<p>")
		return
	}
	b.mu.Lock()
	state, session := b.states[r.URL.Path], sessionOf(r)
	if r.Method == http.MethodGet {
		b.asks[r.URL.Path]++
	}
	b.mu.Unlock()
	if r.Method == http.MethodPost {
		state.Set(r.URL.Query().Get("value"))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer{state.Value(), session})
}

// open adds a room.
func (b *rooms) open(path string, state *tabs.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states[path] = state
}

// asked returns how often a room was asked for its state.
func (b *rooms) asked(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asks[path]
}

// browser is what pages of one browser have in common.
type browser struct {
	*caddytest.Client

	t       *testing.T
	name    string
	session string // "": it has no cookie
	failed  atomic.Int32

	mu     sync.Mutex // guards all below
	latest []string   // what has happened, for the log of a failure
}

// notes notes what happens.
func (b *browser) notes(format string, args ...any) {
	const most = 100
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = append(b.latest[max(0, len(b.latest)-most+1):], time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// fails reports a failure with what has happened before.
func (b *browser) fails(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Errorf("%s: %s\n%s", b.name, fmt.Sprintf(format, args...), strings.Join(b.latest, "\n"))
}

// newBrowser returns a browser. Only over HTTPS it says what it wants a request for, and
// over HTTP/1.1 it opens six connections.
func newBrowser(t *testing.T, caddy *caddytest.Secure, protocol caddytest.Protocol, as caddytest.As, name, session string) *browser {
	b := &browser{Client: caddy.ClientAs(t, protocol, as), t: t, name: name, session: session}
	if protocol != caddytest.HTTP2 {
		b.Transport.(*http.Transport).MaxConnsPerHost = 6
	}
	return b
}

// header returns the header of a request, for a document or by a script.
func (b *browser) header(document bool) []string {
	header := []string{"User-Agent: Browser", "Accept: */*", "Referer: " + b.URL + "/"}
	if document {
		header = []string{"User-Agent: Browser", "Accept: text/html,*/*"}
	}
	if b.session != "" {
		header = append(header, "Cookie: lang=en; session="+b.session)
	}
	if b.Protocol == caddytest.HTTP1 {
		return header
	}
	if document {
		return append(header, "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none")
	}
	return append(header, "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin")
}

// visit loads a document.
func (b *browser) visit(ctx context.Context) {
	b.Do(ctx, http.MethodGet, "/", "", b.header(true)...)
}

// page is a page of a browser, which shows the state of a room.
type page struct {
	*browser
	tab   int // its number among the browser's
	path  string
	pause time.Duration
	timer bool // it polls by setInterval, and does not wait for answers
	state *tabs.State

	mu     sync.Mutex // guards all below
	screen *tabs.Screen
	polls  int
	held   int // how many of them were released by a change
}

// load loads the page anew. It has nothing until the answer to its first poll.
func (p *page) load(ctx context.Context) {
	p.notes("tab %d loads", p.tab)
	p.mu.Lock()
	p.screen = p.state.Open(p.pause)
	p.mu.Unlock()
	p.visit(ctx)
}

// live polls until the context ends, which cancels what is under way.
func (p *page) live(ctx context.Context) {
	var polls sync.WaitGroup
	defer polls.Wait()
	for ctx.Err() == nil {
		if p.timer {
			polls.Go(func() { p.poll(ctx) })
		} else {
			p.poll(ctx)
		}
		load.Pause(ctx, p.pause)
	}
}

// poll polls, and shows the answer.
func (p *page) poll(ctx context.Context) {
	p.mu.Lock()
	p.polls++
	n := p.polls
	p.mu.Unlock()
	p.notes("tab %d sends poll %d", p.tab, n)
	got := p.Do(ctx, http.MethodGet, p.path, "", p.header(false)...)
	if ctx.Err() != nil {
		p.notes("tab %d leaves poll %d", p.tab, n)
		return
	}
	p.notes("tab %d has the answer to poll %d: %d %s %s", p.tab, n, got.Status, strings.TrimSpace(got.Body), got.Header.Get("Parker-Status"))
	p.mu.Lock()
	defer p.mu.Unlock()
	var shown answer
	if got.Err != nil || got.Status/100 == 5 {
		p.failed.Add(1)
		p.screen.Excuse() // it would have failed without parker as well
		return
	}
	if err := json.Unmarshal([]byte(got.Body), &shown); err != nil || got.Status != http.StatusOK || shown.Session != p.session {
		p.fails("a poll of session %q was answered %+v", p.session, got)
		return
	}
	if got.Release() == "replay" {
		p.held++
	}
	if err := p.screen.Shows(shown.Value); err != nil {
		p.fails("%v", err)
	}
}

// back makes the page go on with what it shows, after it was out of sight.
func (p *page) back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.Excuse()
}

// judge judges what the page has shown until now.
func (p *page) judge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.screen.Judge(); err != nil {
		p.fails("%v", err)
	}
	if late := p.screen.Worst; late > slack {
		p.fails("tab %d at %s with pause %v, over %s, was %v too late", p.tab, p.path, p.pause, p.Protocol, late)
		p.screen.Worst = 0
	}
}

// shows reports whether the page has shown anything since it was loaded.
func (p *page) shows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.Shown()
}

// slack is by how much a page may be late because the machine is busy, on [clock].
const slack = time.Second

// clock is a clock that goes by what the machine gets done: each tick comes after a plain
// request through the same Caddy. If that takes long, the clock is slow, so a test that
// judges by it does not fail because a machine is busy.
type clock struct{ elapsed atomic.Int64 }

const tick = 20 * time.Millisecond

func (c *clock) now() time.Duration { return time.Duration(c.elapsed.Load()) }

func (c *clock) run(ctx context.Context, client *caddytest.Client) {
	for began := time.Now(); ctx.Err() == nil; began = time.Now() {
		load.Pause(ctx, tick)
		client.Do(ctx, http.MethodGet, "/", "")
		c.elapsed.Add(int64(min(time.Since(began), 2*tick)))
	}
}

// pick returns one of the values.
func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }
