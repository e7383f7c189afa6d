package poll

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Browsers keeps browsers from using up their connections: over HTTP/1.1 they have six
// for a site, and whatever else a page asks for would wait for one. The zero value knows
// no browser.
type Browsers struct {
	mu     sync.Mutex            // guards parked
	parked map[Key][]parkedSince // in order; those that are to end included
}

// parkedSince is one poll of a browser.
type parkedSince struct {
	waiter *lot.Waiter
	since  time.Time
}

const (
	// browserConnections is how many connections browsers have for a site over
	// HTTP/1.1. Where more polls are parked, they are of many browsers that look alike.
	browserConnections = 6

	// leastParked is how long a poll is parked before another ends it: pages that poll
	// in a loop come back at once.
	leastParked = time.Second
)

// enter adds a poll that is parked now, and has as many of the oldest end as are over
// the limit.
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

// exit takes a poll out.
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

// visitor is what a browser is known by, beside its address.
type visitor struct {
	agent, cookies []string
}

// visitorOf is what a request says of its browser, as it came. There is none where there
// is no limit for it: without cookies all that come from one address could be one, and
// over HTTP/2 there are connections enough.
func visitorOf(r *http.Request) (v visitor) {
	if cookies := r.Header["Cookie"]; r.ProtoMajor == 1 && len(cookies) > 0 {
		v = visitor{r.Header["User-Agent"], cookies}
	}
	return v
}

// browse counts a poll that has been parked as one of its browser's: on its path, and on
// all of the site, where one connection is to be left for other requests.
func (p *Poll) browse() {
	if len(p.visitor.cookies) == 0 {
		return
	}
	if p.browser == (Key{}) {
		p.site = p.visitor.key(p.clientIP, p.r.Host, "")
		p.browser = p.visitor.key(p.clientIP, p.r.Host, p.clientPath())
	}
	p.config.Browsers.enter(p.browser, p.waiter, p.config.PerBrowser)
	p.config.Browsers.enter(p.site, p.waiter, browserConnections-1)
}

func (p *Poll) unbrowse() {
	if p.browser != (Key{}) {
		p.config.Browsers.exit(p.browser, p.waiter)
		p.config.Browsers.exit(p.site, p.waiter)
	}
}

func (v visitor) key(address, host, path string) Key {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", address, host, path, v.agent, v.cookies))
}
