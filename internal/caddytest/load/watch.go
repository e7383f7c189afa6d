package load

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// A client that has had news for longer than prompt, and many times what a request took
// lately that parker has nothing to do with, is forgotten. backoff is the time after
// which a replay is tried again once the backend is back.
const (
	prompt  = 5 * time.Second
	many    = 10
	backoff = 2 * time.Second
)

// pace is how busy the machine is. Times are in nanoseconds.
type pace struct {
	lately  atomic.Int64 // how long a plain request took lately
	slowest atomic.Int64 // how long one ever took
	probing atomic.Int64 // since when one is under way, as Unix time, or 0
	latest  atomic.Int64 // by how much a client was late at the most
}

// probe makes plain requests until the context ends.
func (l *Load) probe(ctx context.Context) {
	fresh := again{l, Fresh()}
	for ; ctx.Err() == nil; Pause(ctx, 50*time.Millisecond) {
		began := time.Now()
		l.pace.probing.Store(began.UnixNano())
		answer := caddytest.DoWith(context.Background(), fresh, http.MethodGet, l.Probe, "")
		if answer.Status != http.StatusOK {
			l.Breaks("a plain request was answered %+v", answer)
			return
		}
		took := int64(time.Since(began))
		l.pace.slowest.Store(max(took, l.pace.slowest.Load()))
		// The worst counts for some seconds, and less and less.
		l.pace.lately.Store(max(took, l.pace.lately.Load()*98/100))
		l.pace.probing.Store(0)
	}
}

// allowed returns for how long a client may have news that it does not hear.
func (l *Load) allowed() time.Duration {
	pace := time.Duration(l.pace.lately.Load())
	if began := l.pace.probing.Load(); began > 0 {
		pace = max(pace, time.Since(time.Unix(0, began)))
	}
	return prompt + many*pace
}

// watch looks for clients that are forgotten, until the context ends.
func (l *Load) watch(ctx context.Context) {
	for ; ctx.Err() == nil; Pause(ctx, 50*time.Millisecond) {
		allowed := l.allowed()
		for _, c := range l.Clients {
			late := c.overdue()
			l.pace.latest.Store(max(int64(late), l.pace.latest.Load()))
			if late > allowed {
				l.Breaks("%s was not given its news for %v, where %v are allowed: it %s", c, late, allowed, c.verdict())
				return
			}
		}
	}
}

// overdue returns for how long the client has been ready to hear an item, and has heard
// nothing.
func (c *Client) overdue() time.Duration {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	if c.listening.IsZero() {
		return 0
	}
	now := time.Now()
	late := time.Duration(0)
	for _, r := range c.records() {
		if r.highest < len(r.items) && !r.items[r.highest].Published.IsZero() {
			late = max(late, now.Sub(r.items[r.highest].Published))
		}
	}
	late = min(late, now.Sub(c.listening), now.Sub(c.latest))
	if c.Backend && c.load.BackendUp != nil {
		up := c.load.BackendUp()
		if up.IsZero() {
			return 0
		}
		late = min(late, now.Sub(up)-backoff)
	}
	return late
}
