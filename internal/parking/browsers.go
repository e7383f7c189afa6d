package parking

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Browsers keeps polls from using up all connections of a browser. Over HTTP/1.1, browsers
// open six to a site, and all other requests of the page would wait for one. The zero value
// is ready to use.
type Browsers struct {
	mu     sync.Mutex            // guards parked
	parked map[Key][]parkedSince // in order; polls that are about to end included
}

// parkedSince is one poll of a browser.
type parkedSince struct {
	waiter *lot.Waiter
	since  time.Time
}

const (
	// browserConnections is how many connections browsers open to a site over HTTP/1.1.
	// If more polls than that are parked, they come from several browsers that look alike.
	browserConnections = 6

	// leastParked is how long a poll is parked before another ends it, because pages that
	// poll in a loop come back at once.
	leastParked = time.Second
)

// enter adds a poll that is parked now. It ends the oldest polls that are over the limit.
func (b *Browsers) enter(key Key, w *lot.Waiter, limit int) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parked == nil {
		b.parked = make(map[Key][]parkedSince)
	}
	polls := append(b.parked[key], parkedSince{w, now})
	b.parked[key] = polls
	if len(polls) > max(browserConnections, limit+1) {
		return
	}
	for _, oldest := range polls[:max(len(polls)-limit, 0)] {
		oldest.waiter.EndBy(oldest.since.Add(leastParked))
	}
}

// exit removes a poll.
func (b *Browsers) exit(key Key, w *lot.Waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	polls := b.parked[key]
	for i, poll := range polls {
		if poll.waiter == w {
			polls = append(polls[:i], polls[i+1:]...)
			break
		}
	}
	if len(polls) == 0 {
		delete(b.parked, key)
		return
	}
	b.parked[key] = polls
}

// Browser is the browser that has sent a request, as far as it is recognized: on the
// request's path, and on all paths of the site. It is the zero value if its polls are not
// limited.
type Browser struct{ onPath, onSite Key }

// BrowserOf returns the browser at an address that has sent a request, whose client asked
// for path. Over HTTP/2 there are enough connections, and programs other than browsers have
// as many as they want, so these polls are not limited.
func BrowserOf(r *http.Request, address, path string) (b Browser) {
	cookies := r.Header["Cookie"]
	if r.ProtoMajor != 1 || len(cookies) == 0 && !isBrowser(r) {
		return b
	}
	var memory [512]byte
	all := appendValues(memory[:0], address, r.Host)
	all = appendValues(all, r.Header["User-Agent"]...)
	all = appendValues(all, cookies...)
	b.onSite = keyOf(all)
	b.onPath = keyOf(appendValues(all, path))
	return b
}

// isBrowser reports whether a request comes from a browser, by its User-Agent.
func isBrowser(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["User-Agent"], func(name string) bool { return strings.HasPrefix(name, "Mozilla/") })
}

// browse counts the parked request as one of its browser's: on its path, and on all paths
// of the site, where one connection must stay free for other requests.
func (s *Space) browse() {
	if b := s.client.Browser; b != (Browser{}) {
		s.config.Limits.Browsers.enter(b.onPath, s.Waiter, s.config.PerBrowser)
		s.config.Limits.Browsers.enter(b.onSite, s.Waiter, browserConnections-1)
	}
}

func (s *Space) unbrowse() {
	if b := s.client.Browser; b != (Browser{}) {
		s.config.Limits.Browsers.exit(b.onPath, s.Waiter)
		s.config.Limits.Browsers.exit(b.onSite, s.Waiter)
	}
}
