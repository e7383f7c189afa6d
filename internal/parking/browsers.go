package parking

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Key is a digest of what requests have in common that are limited together.
type Key [sha256.Size]byte

// KeyOf returns the key of requests that have these values in common.
func KeyOf(values ...string) Key { return sha256.Sum256(fmt.Appendf(nil, "%q", values)) }

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

// Browser is what the browser that sent a request is recognized by, in addition to its
// address.
type Browser struct {
	host, path     string
	agent, cookies []string
}

// BrowserOf returns the browser of a request whose client asked for path. It is the zero
// value if polls must not be limited: without cookies all browsers at one address could be
// the same, and over HTTP/2 there are enough connections.
func BrowserOf(r *http.Request, path string) (b Browser) {
	if cookies := r.Header["Cookie"]; r.ProtoMajor == 1 && len(cookies) > 0 {
		b = Browser{host: r.Host, path: path, agent: r.Header["User-Agent"], cookies: cookies}
	}
	return b
}

func (b Browser) key(address, path string) Key {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", address, b.host, path, b.agent, b.cookies))
}

// browse counts the parked request as one of its browser's: on its path, and on all paths
// of the site, where one connection must stay free for other requests.
func (s *Space) browse() {
	browser := s.client.Browser
	if len(browser.cookies) == 0 {
		return
	}
	if s.counts.browser == ([2]Key{}) {
		s.counts.browser = [2]Key{browser.key(s.client.Address, browser.path), browser.key(s.client.Address, "")}
	}
	s.config.Limits.Browsers.enter(s.counts.browser[0], s.Waiter, s.config.PerBrowser)
	s.config.Limits.Browsers.enter(s.counts.browser[1], s.Waiter, browserConnections-1)
}

func (s *Space) unbrowse() {
	if s.counts.browser == ([2]Key{}) {
		return
	}
	for _, key := range s.counts.browser {
		s.config.Limits.Browsers.exit(key, s.Waiter)
	}
}
