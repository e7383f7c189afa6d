package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// node is one Caddy and its connections to the broker.
type node struct {
	number  int
	caddy   *caddytest.Caddy
	proxies []*caddytest.Proxy

	cuts int
	away atomic.Bool  // it is cut off from the broker
	life atomic.Int32 // number of crashes
}

// place names the process that runs the node now.
func (n *node) place() string { return fmt.Sprint("node ", n.number, " life ", n.life.Load()) }

// awaitReachable returns when the broker has all events published at the node up to the
// returned time. An event that comes back from the broker was sent after all earlier
// ones.
func (n *node) awaitReachable(t *testing.T) (safe time.Time) {
	t.Helper()
	awaitLong(t, fmt.Sprint("node ", n.number, " reaches the broker"), func() bool {
		safe = time.Now()
		answer := caddytest.Do(context.Background(), http.MethodPost, "http://"+n.caddy.Hook+"/probe", "")
		return answer.Status == http.StatusOK
	})
	return safe
}

// longPatience is the time limit for work that takes a cluster some seconds, and more
// on a busy machine: it elects a leader and takes all queued events.
const longPatience = 3 * caddytest.Patience

// awaitLong returns when the condition holds.
func awaitLong(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for last := time.Now().Add(longPatience); !holds(); load.Pause(t.Context(), 20*time.Millisecond) {
		if time.Now().After(last) {
			t.Fatal("timed out waiting until ", what)
		}
	}
}

// crash kills a node and starts it again. Events that it accepted without reaching the
// broker would be lost, so the broker is reachable first. Events that it accepts just
// before the crash are doubtful.
func (f *fleet) crash(t *testing.T, n *node) {
	t.Helper()
	safe := n.awaitReachable(t)
	n.caddy.Kill(t)
	f.Ended(n.place(), safe)
	n.life.Add(1)
	load.Pause(t.Context(), rand.N(300*time.Millisecond))
	n.caddy.Again(t)
}

// disconnect cuts the node off from the broker for a while. The node notices at once, or
// after a timeout.
func (n *node) disconnect(how func(*caddytest.Proxy), d time.Duration) {
	n.cuts++
	n.away.Store(true)
	for _, p := range n.proxies {
		how(p)
	}
	time.AfterFunc(d, n.rejoin)
}

func (n *node) rejoin() {
	for _, p := range n.proxies {
		p.Heal()
	}
	n.away.Store(false)
}

// trouble causes failures until the context ends, of all kinds equally often. While the
// broker is away no node starts, because it would not know the earlier events.
func (f *fleet) trouble(ctx context.Context, t *testing.T) {
	kinds := []func(*node){
		func(*node) { f.engine.fail(t) },
		func(n *node) { f.crash(t, n) },
		func(n *node) { n.disconnect((*caddytest.Proxy).Cut, rand.N(3*time.Second)) },
		func(n *node) { n.disconnect((*caddytest.Proxy).Stall, rand.N(5*time.Second)) },
	}
	for i := 0; ctx.Err() == nil; load.Pause(ctx, rand.N(time.Second)) {
		if n := f.nodes[rand.N(len(f.nodes))]; !n.away.Load() {
			if i%len(kinds) == 0 {
				rand.Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
			}
			kinds[i%len(kinds)](n)
			i++
		}
	}
	for _, n := range f.nodes {
		n.rejoin()
	}
}
