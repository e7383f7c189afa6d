package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

var duration = flag.Duration("duration", 0, "how long the soak goes on")

// How many of each there are.
const (
	rooms  = 10
	users  = 6 // all have one inbox, in which each sees what is theirs
	feeds  = 6
	rogues = 10
)

// Up to how long it takes until the next item of a topic comes. Where many come,
// things meet; where few come, nothing makes up for a wake-up that is lost.
const (
	often  = 800 * time.Millisecond
	seldom = 20 * time.Second
)

// soak is one run of all the actors.
type soak struct {
	t     *testing.T
	caddy *caddytest.Secure
	board *board

	publishers []*publisher
	readers    []*reader
	clients    []*caddytest.Client // the readers', of several protocols
	slow       *http.Transport     // of the client whose connections hold little
	fresh      reconnecting        // a client with a connection for each request

	busy  context.Context // until it ends, everything happens at random
	calm  func()          // ends it
	began time.Time
	worst time.Duration // that a reader was late

	// pace is how long a plain request took lately, slowest how long one ever did,
	// in nanoseconds.
	pace, slowest atomic.Int64
	probing       atomic.Int64 // since when one is under way, as Unix time in nanoseconds, or 0

	broken atomic.Bool

	heard, reloads, restarts, again atomic.Int64
	reloaded                        atomic.Int64 // when Caddy began or ended to reload, as Unix time in nanoseconds
}

func TestMain(m *testing.M) { caddytest.Main(m) }

// TestSoak is the soak, and its short form where no duration is given.
func TestSoak(t *testing.T) {
	if *duration == 0 {
		if testing.Short() {
			t.Skip("a soak is not short")
		}
		*duration = 10 * time.Second
		if os.Getenv("PARKER_REQUIRE_TOOLS") != "" {
			*duration = time.Minute
		}
	}
	s := prepare(t)
	before := s.warmUp()
	s.run()
	if !s.failed() {
		s.checkReturn(before)
	}
	s.t.Log(s.progress())
	if !t.Failed() {
		t.Log("verdict: every promise was kept")
	} else {
		t.Log("verdict: a promise was broken")
	}
}

// prepare starts Caddy and its backend, and says who reads and publishes what.
func prepare(t *testing.T) *soak {
	s := &soak{t: t, board: newBoard(t), began: time.Now()}
	s.fresh = reconnecting{s, &http.Transport{DisableKeepAlives: true}}
	s.caddy = caddytest.StartSecure(t, s.plain(), "")
	s.slow = caddytest.NewStall().Transport()
	s.clients = []*caddytest.Client{
		s.caddy.Client(t, caddytest.HTTP1),
		s.caddy.Client(t, caddytest.HTTP2),
		s.caddy.Client(t, caddytest.HTTP3),
		{Protocol: caddytest.HTTP1, URL: "http://" + s.caddy.Site, Transport: s.slow},
	}
	for i := range rooms {
		p := s.publish("rooms", i)
		p.path = "/" + p.channel
		for range 3 {
			s.read(p, p.path, true, answerPolls)
		}
		s.read(p, p.path, true, answerStreams)
	}
	for i := range users {
		p := s.publish("users", i)
		p.path, p.channel, p.header = "/inbox", "inbox", []string{asUser(i, p.topic.name)}
		s.read(p, p.path, true, answerPolls)
		s.read(p, p.path, true, answerStreams)
	}
	for i := range feeds {
		p := s.publish("feed", i)
		feed, asked := "/"+p.channel, fmt.Sprint("/asked/", i)
		for _, form := range []form{messagePolls, batchPolls, messageStreams} {
			s.read(p, feed, false, form)
			s.read(p, asked, true, form)
		}
	}
	return s
}

// publish adds a topic with who publishes on it.
func (s *soak) publish(kind string, i int) *publisher {
	name, every := fmt.Sprint(kind, "/", i), seldom
	if i < 2 && kind != "users" {
		every = often
	}
	p := &publisher{soak: s, topic: &topic{name: name}, channel: name, every: every}
	s.publishers = append(s.publishers, p)
	return p
}

// read adds a reader of what is published there.
func (s *soak) read(p *publisher, path string, backend bool, form form) {
	r := &reader{soak: s, topic: p.topic, path: path, header: p.header, backend: backend, form: form, client: s.clients[rand.N(len(s.clients))]}
	s.readers = append(s.readers, r)
}

// warmUp has all readers come and go once, and returns what Caddy holds from then on.
func (s *soak) warmUp() usage {
	s.board.open(s.t)
	s.busy, s.calm = context.WithCancel(s.t.Context())
	ctx, leave := context.WithCancel(s.t.Context())
	var all sync.WaitGroup
	for _, r := range s.readers {
		all.Go(func() { r.run(ctx) })
	}
	pause(ctx, time.Second)
	leave()
	all.Wait()
	return s.settled()
}

// run is the soak itself.
func (s *soak) run() {
	answer := caddytest.Do(s.t.Context(), http.MethodGet, "http://"+s.caddy.Site+"/feed/0", "", "Prefer: wait=0")
	for _, r := range s.readers {
		r.at = answer.Header.Get("Last-Event-ID")
	}
	s.caddy.MustLoad(s.t, s.any()) // nothing is forgotten from now on
	s.calm()
	s.board.open(s.t)
	busy, calm := context.WithTimeout(s.t.Context(), *duration)
	defer calm()
	s.busy, s.calm = busy, calm
	reading, leave := context.WithCancel(s.t.Context())
	defer leave()

	var reads, rest sync.WaitGroup
	for _, r := range s.readers {
		reads.Go(func() { r.run(reading) })
	}
	reads.Go(func() { s.probe(reading) })
	reads.Go(func() { s.watch(reading) })
	for _, p := range s.publishers {
		rest.Go(func() { p.run(busy) })
	}
	for range rogues {
		rest.Go(func() { s.rogue(busy) })
	}
	rest.Go(func() { s.reload(busy) })
	rest.Go(func() { s.restart(busy) })
	rest.Wait()
	s.checkBalance()
	leave()
	reads.Wait()
}
