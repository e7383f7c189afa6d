package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// node is one Caddy and its connections to the broker.
type node struct {
	number  int
	caddy   *caddytest.Caddy
	proxies []*caddytest.Proxy

	cuts int
	heal time.Time // when it will be connected again, or zero

	life int // number of crashes, guarded by the ledger
}

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
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for last := time.Now().Add(longPatience); !holds(); <-look.C {
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
	f.ledger.crashed(n, safe)
	<-time.After(rand.N(300 * time.Millisecond))
	n.caddy.Again(t)
}

// disconnect cuts the node off from the broker for a while. The node notices at once, or
// after a timeout.
func (n *node) disconnect(how func(*caddytest.Proxy), d time.Duration) {
	n.cuts++
	n.heal = time.Now().Add(d)
	for _, p := range n.proxies {
		how(p)
	}
}

func (n *node) rejoin() {
	n.heal = time.Time{}
	for _, p := range n.proxies {
		p.Heal()
	}
}

// The kinds of trouble, all equally likely. While the broker is away no node starts,
// because it would not know the earlier events.
const (
	crashes = iota
	cuts
	stalls
	engineFails
	troubles
)

// trouble causes failures for the duration.
func (f *fleet) trouble(t *testing.T, duration time.Duration) {
	var deck []int
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	next := time.Now()
	for end := time.Now().Add(duration); time.Now().Before(end); <-pause.C {
		f.rejoin(false)
		if time.Now().Before(next) {
			continue
		}
		if len(deck) == 0 {
			deck = rand.Perm(troubles)
		}
		f.play(t, deck[0])
		deck = deck[1:]
		next = time.Now().Add(rand.N(time.Second))
	}
	f.rejoin(true)
}

// rejoin reconnects the nodes whose time is over, or all of them.
func (f *fleet) rejoin(all bool) {
	for _, n := range f.nodes {
		if !n.heal.IsZero() && (all || time.Now().After(n.heal)) {
			n.rejoin()
		}
	}
}

func (f *fleet) play(t *testing.T, trouble int) {
	var connected []*node
	for _, n := range f.nodes {
		if n.heal.IsZero() {
			connected = append(connected, n)
		}
	}
	if trouble == engineFails {
		f.engine.fail(t)
		return
	}
	if len(connected) == 0 {
		return
	}
	n := connected[rand.N(len(connected))]
	switch trouble {
	case crashes:
		f.crash(t, n)
	case cuts:
		n.disconnect((*caddytest.Proxy).Cut, rand.N(3*time.Second))
	case stalls:
		n.disconnect((*caddytest.Proxy).Stall, rand.N(5*time.Second))
	}
}
