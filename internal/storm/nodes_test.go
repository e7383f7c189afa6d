package storm

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// Three nodes share a broker and a backend. Clients move from node to node and authors
// publish at any node, while nodes, connections and the broker's server fail.
const (
	nodeCount = 3
	topics    = 50
	perSecond = 200 // events of all authors together
)

// nodesSite has two ways to wait. At /messages the backend is not asked; at /rows it is
// asked first, and again on each wake-up. A poll is held for longer than the test waits,
// so that no timeout hides a missed event.
const nodesSite = `{
	{$GLOBAL}
	parker {
		%s
		history 10000 10m
	}
}
http://{$SITE} {
	parker /messages/* {path.1} {path.2} {
		hold messages
		timeout 1m
	}
	parker /rows/* {path.1} {
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
		t.Run(name, func(t *testing.T) { assemble(t, start(t)).run(t, nodesDuration(t)) })
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
	load.Load
	nodes   []*node
	engine  engine
	authors []*author
	whole   atomic.Pointer[time.Time] // since when all nodes have reached the broker again
}

func assemble(t *testing.T, e engine) *fleet {
	f := &fleet{engine: e, Load: load.Load{T: t, LeaveOneIn: 1, LeaveWithin: 2 * time.Second, Unsettled: true}}
	f.Excuse = f.excuse
	f.NewBoard().Name = func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/rows/") }
	backend := caddytest.Serve(t, f.Board.ServeHTTP)
	for i := range nodeCount {
		option, proxies := e.option(t)
		n := &node{number: i, proxies: proxies, caddy: caddytest.Start(t, fmt.Sprintf(nodesSite, option), backend)}
		f.nodes = append(f.nodes, n)
		n.awaitReachable(t)
	}
	for i := range topics {
		a := &author{fleet: f, topic: f.Topic(fmt.Sprint("topic-", i))}
		if i%2 == 0 {
			a.home = f.nodes[i/2%nodeCount]
		}
		f.authors = append(f.authors, a)
	}
	f.follow(t)
	return f
}

// follow adds clients of each kind, each of which resumes at any node from its position.
func (f *fleet) follow(t *testing.T) {
	var sites []*caddytest.Client
	for _, n := range f.nodes {
		sites = append(sites, load.Site(t, n.caddy.Site))
	}
	start := sites[0].Do(t.Context(), http.MethodGet, "/messages/start/start", "", "Prefer: wait=0").Header.Get("Last-Event-ID")
	for i, a := range f.authors {
		one, other := a.topic, f.authors[(i+1)%topics].topic
		for _, form := range []load.Form{load.Poll, load.Batch, load.Stream} {
			messages := load.Client{Form: form, Sites: sites, Position: start, Path: "/messages/" + one.Name + "/" + one.Name, Messages: []*load.Topic{one}}
			if form != load.Poll {
				messages.Path, messages.Messages = "/messages/"+one.Name+"/"+other.Name, []*load.Topic{one, other}
			}
			f.Follow(messages)
			f.Follow(load.Client{Form: form, Sites: sites, Position: start, Path: "/rows/" + one.Name, Messages: []*load.Topic{one}, Rows: one})
		}
	}
}

// excuse excuses failed connections. As long as a node may be cut off from the broker, it
// may not know the position of a client, which then asks another node.
func (f *fleet) excuse(_ *load.Client, began time.Time, failure *load.Failure) bool {
	if failure.Kind == load.Reset {
		whole := f.whole.Load()
		return whole == nil || began.Before(*whole)
	}
	return failure.Kind != load.Refused
}

// run runs authors, clients and failures for a while, ends the failures, and waits until
// every client has heard everything.
func (f *fleet) run(t *testing.T, duration time.Duration) {
	acts := []func(context.Context){func(ctx context.Context) { f.trouble(ctx, t) }}
	for _, a := range f.authors {
		acts = append(acts, func(ctx context.Context) { a.write(ctx, t) })
	}
	f.Start()
	f.Act(duration, acts...)
	for _, n := range f.nodes {
		n.awaitReachable(t)
	}
	now := time.Now()
	f.whole.Store(&now)
	for _, a := range f.authors {
		a.writeMessage(t)
	}
	f.Finish()
	for _, n := range f.nodes {
		t.Logf("node %d crashed %d times and was cut off %d times", n.number, n.life.Load(), n.cuts)
	}
}
