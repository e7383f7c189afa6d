package storm

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// Three nodes share a broker and a backend. Clients move from node to node and authors
// publish at any node, while nodes, connections and the broker's server fail.
const (
	nodeCount = 3
	topics    = 50
	perSecond = 200 // events of all authors together
	hoppers   = topics * len(kinds)
)

// nodesConfig has two ways to wait. At /messages the backend is not asked; at /rows it
// is asked first, and again on each wake-up. A poll is held for longer than the test
// waits, so that no timeout hides a missed event.
const nodesConfig = `{
	{$GLOBAL}
	parker {
		%s
		history 10000 10m
	}
}
http://{$SITE} {
	parker /messages {query.one} {query.two} {
		hold messages
		timeout 1m
	}
	parker /rows {query.one} {
		timeout 1m
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

func TestMain(m *testing.M) {
	if os.Getenv(natsServer) != "" {
		serveNATS()
		return
	}
	caddytest.Main(m)
}

// engine is the server of a broker, or a cluster of servers.
type engine interface {
	// option returns the broker option for another node, which reaches the server only
	// through the returned proxies.
	option(t *testing.T) (option string, proxies []*caddytest.Proxy)

	// fail crashes and restarts the server, or the leader of a cluster.
	fail(t *testing.T)
}

func TestStormNodesAndBrokerFailuresLoseNothing(t *testing.T) {
	for name, start := range map[string]func(*testing.T) engine{"redis": startRedis, "nats": startNATS} {
		t.Run(name, func(t *testing.T) {
			f := assemble(t, start(t))
			f.run(t, nodesDuration(t))
			f.ledger.check(t, f.hoppers)
			f.logSummary(t)
		})
	}
}

// nodesDuration returns the duration of a storm: PARKER_STORM_SECONDS, or a short
// default.
func nodesDuration(t *testing.T) time.Duration {
	text := os.Getenv("PARKER_STORM_SECONDS")
	if text == "" {
		return 10 * time.Second
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("PARKER_STORM_SECONDS: ", err)
	}
	return time.Duration(seconds) * time.Second
}

// fleet has the nodes, their clients and their authors.
type fleet struct {
	nodes   []*node
	engine  engine
	rows    *rows
	ledger  *ledger
	hoppers []*hopper
	client  *http.Transport
	calm    chan struct{} // closed when failures and disconnects have ended
	whole   atomic.Bool   // all nodes reach the broker again
}

func assemble(t *testing.T, e engine) *fleet {
	f := &fleet{
		engine: e,
		rows:   &rows{counts: make(map[string]int)},
		ledger: &ledger{said: make(map[string][]said)},
		client: &http.Transport{MaxIdleConnsPerHost: hoppers, DisableCompression: true},
		calm:   make(chan struct{}),
	}
	t.Cleanup(f.client.CloseIdleConnections)
	backend := caddytest.Serve(t, f.rows.ServeHTTP)
	for i := range nodeCount {
		option, proxies := e.option(t)
		n := &node{number: i, proxies: proxies, caddy: caddytest.Start(t, fmt.Sprintf(nodesConfig, option), backend)}
		f.nodes = append(f.nodes, n)
		n.awaitReachable(t)
	}
	start := f.position(t)
	for i := range hoppers {
		f.hoppers = append(f.hoppers, newHopper(f, i, start))
	}
	return f
}

// position returns the current position, as a client gets it.
func (f *fleet) position(t *testing.T) string {
	t.Helper()
	answer := caddytest.Do(t.Context(), http.MethodGet, "http://"+f.nodes[0].caddy.Site+"/messages?one=start&two=start", "", "Prefer: wait=0")
	position := answer.Header.Get("Last-Event-ID")
	if answer.Status != http.StatusNoContent || position == "" {
		t.Fatalf("asking for the position: %+v", answer)
	}
	return position
}

// run runs authors, clients and failures for a while, ends the failures, and waits
// until every client has heard everything.
func (f *fleet) run(t *testing.T, duration time.Duration) {
	var hopping, writing sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer hopping.Wait()
	defer cancel()
	for _, h := range f.hoppers {
		hopping.Go(func() { h.run(ctx, t) })
	}
	authors := make([]*author, topics)
	for i := range authors {
		authors[i] = newAuthor(f, i)
		writing.Go(func() { authors[i].write(t) })
	}
	f.trouble(t, duration)
	close(f.calm)
	writing.Wait()
	for _, n := range f.nodes {
		n.awaitReachable(t)
	}
	f.whole.Store(true)
	for _, a := range authors {
		a.writeMessage(t)
	}

	deadline := time.Now().Add(caddytest.Patience)
	for !f.allCaughtUp() && time.Now().Before(deadline) {
		<-time.After(20 * time.Millisecond)
	}
}

func (f *fleet) allCaughtUp() bool {
	for _, h := range f.hoppers {
		if h.lacks() != "" {
			return false
		}
	}
	return true
}

// logSummary logs a summary.
func (f *fleet) logSummary(t *testing.T) {
	answers, failures, resets := 0, 0, 0
	for _, h := range f.hoppers {
		answers, failures, resets = answers+h.answers, failures+h.failures, resets+h.resets
	}
	var trouble strings.Builder
	for _, n := range f.nodes {
		fmt.Fprintf(&trouble, "; node %d crashed %d times and was cut off %d times", n.number, n.life, n.cuts)
	}
	t.Logf("%s%s; %d answers and streams, %d broken off, %d resets", f.ledger, &trouble, answers, failures, resets)
}
