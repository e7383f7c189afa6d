package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// Load is clients that follow topics. Fill in the exported fields before Start.
type Load struct {
	Ledger

	T       testing.TB
	Clients []*Client

	// While the load is busy, one in LeaveOneIn requests is left by its client within
	// the time LeaveWithin. 0 means none.
	LeaveOneIn  int
	LeaveWithin time.Duration

	// While the load is busy, a client stops reading for a time up to StallWithin after
	// one in StallOneIn events of a stream. 0 means never.
	StallOneIn  int
	StallWithin time.Duration

	// Unsettled is set if failures can change the order of messages. What clients have
	// heard is then judged at the end. Without it, the load ends at the first message
	// that is missed or in a wrong order.
	Unsettled bool

	// Excuse reports whether trouble excuses the failure of a request that began at the
	// time. The client then asks again. Without it, nothing is excused.
	Excuse func(c *Client, began time.Time, failure *Failure) bool

	// BackendUp returns since when the backend has served without a break, or zero while
	// it does not serve. Without it, the backend always serves.
	BackendUp func() time.Time

	// Board is the backend, if requests have numbers.
	Board *Board

	// Probe is the URL of a page that parker has nothing to do with. If it is set, the
	// load ends when a client has news for seconds that it is not given: see watch.go.
	Probe string

	busy        context.Context
	calm, leave context.CancelFunc
	following   sync.WaitGroup
	began       time.Time
	broken      atomic.Bool
	pace        pace
	reloaded    atomic.Int64 // when a reload began or ended, as Unix time in nanoseconds

	heard, requests, stalls, failures, resent atomic.Int64
}

// Follow adds a client.
func (l *Load) Follow(c Client) { l.Clients = append(l.Clients, &c) }

// Start starts the clients. They go on until [Load.End] or the end of the test.
func (l *Load) Start() {
	ctx, leave := context.WithCancel(l.T.Context())
	l.leave, l.began = leave, time.Now()
	l.busy, l.calm = context.WithCancel(ctx)
	l.T.Cleanup(l.End)
	for i, c := range l.Clients {
		c.prepare(l, i)
		l.following.Go(func() { c.run(ctx) })
	}
	if l.Probe != "" {
		l.following.Go(func() { l.probe(ctx) })
		l.following.Go(func() { l.watch(ctx) })
	}
}

// Act runs the actors, whose context ends after the duration, and returns when they have
// returned. From then on the load is not busy, so no client leaves.
func (l *Load) Act(duration time.Duration, actors ...func(ctx context.Context)) {
	ctx, stop := context.WithTimeout(l.busy, duration)
	defer stop()
	var acting sync.WaitGroup
	for _, act := range actors {
		acting.Go(func() { act(ctx) })
	}
	acting.Wait()
	l.calm()
}

// Finish returns when all clients have heard everything, and have left.
func (l *Load) Finish() {
	l.calm()
	l.AwaitHeard()
	l.End()
	l.T.Log(l.Progress())
}

// End ends the clients, wherever they are.
func (l *Load) End() {
	l.leave()
	l.following.Wait()
}

// Progress describes what has happened so far.
func (l *Load) Progress() string {
	since := func(nanoseconds *atomic.Int64) time.Duration {
		return time.Duration(nanoseconds.Load()).Round(time.Millisecond)
	}
	return fmt.Sprintf("%v: %d items, heard %d times; %d requests, %d stalls, %d failures excused, %d sent again; the latest client %v late, a plain request %v",
		time.Since(l.began).Round(time.Millisecond), l.Published(), l.heard.Load(), l.requests.Load(), l.stalls.Load(), l.failures.Load(), l.resent.Load(),
		since(&l.pace.latest), since(&l.pace.slowest))
}

// Breaks fails the test and ends the load. Only the first failure is reported, because
// others may follow from it.
func (l *Load) Breaks(format string, values ...any) {
	if !l.broken.Swap(true) {
		l.T.Errorf("after %v: %v", time.Since(l.began).Round(time.Millisecond), fmt.Errorf(format, values...))
		l.leave()
	}
}

// Failed reports whether the load has failed.
func (l *Load) Failed() bool { return l.broken.Load() }

// Await returns when nothing is in the way. obstacle describes what is; if that takes too
// long, the load fails.
func (l *Load) Await(obstacle func() string) {
	deadline := time.Now().Add(caddytest.Patience)
	for what := obstacle(); what != "" && !l.Failed(); what = obstacle() {
		if time.Now().After(deadline) {
			l.Breaks("%s", what)
		}
		Pause(l.T.Context(), 10*time.Millisecond)
	}
}

// AwaitHeard returns when all clients have heard everything.
func (l *Load) AwaitHeard() { l.awaitHeard(func(*Client) bool { return true }) }

func (l *Load) awaitHeard(by func(*Client) bool) {
	l.Await(func() string {
		for _, c := range l.Clients {
			if verdict := c.verdict(); verdict != "" && by(c) {
				return fmt.Sprint(c, " ", verdict)
			}
		}
		return ""
	})
}

// AwaitPublished returns when at least n items have been published.
func (l *Load) AwaitPublished(n int) {
	l.Await(func() string {
		if published := l.Published(); published < n {
			return fmt.Sprintf("%d of %d items are published", published, n)
		}
		return ""
	})
}

// Site returns a client of HTTP 1.1 at an address, which many clients of a load can use
// at once. Its connections are closed when the test ends.
func Site(t testing.TB, address string) *caddytest.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &caddytest.Client{Protocol: caddytest.HTTP1, URL: "http://" + address, Transport: transport}
}

func (l *Load) isBusy() bool { return l.busy.Err() == nil }

// chance is true once in n times, at random.
func chance(n int) bool { return n > 0 && rand.N(n) == 0 }

// Pause returns after the time, or when the context ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
