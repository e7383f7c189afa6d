package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
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
	load.Load
	caddy   *caddytest.Secure
	backend *backend

	publishers []*publisher
	sites      []*caddytest.Client // of several protocols, for the clients

	reloads, restarts atomic.Int64
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
	if !s.Failed() {
		s.checkReturn(before)
	}
	t.Log(s.progress())
	if !t.Failed() {
		t.Log("verdict: every promise was kept")
	} else {
		t.Log("verdict: a promise was broken")
	}
}

// prepare starts Caddy and its backend, and makes the clients and publishers.
func prepare(t *testing.T) *soak {
	s := &soak{Load: load.Load{T: t, LeaveOneIn: 4, LeaveWithin: 3 * time.Second, StallOneIn: 50, StallWithin: 3 * time.Second}}
	s.NewBoard().Name, s.Board.Slow = nameOf, 20*time.Millisecond
	s.backend = &backend{Board: s.Board, addresses: caddytest.FreePorts(t, 2)}
	s.Excuse, s.BackendUp = s.excuse, s.backend.upSince
	s.caddy = caddytest.StartSecure(t, s.plain(), "")
	s.Probe = "http://" + s.caddy.Site + "/probe"
	s.sites = []*caddytest.Client{
		s.caddy.Client(t, caddytest.HTTP1),
		s.caddy.Client(t, caddytest.HTTP2),
		s.caddy.Client(t, caddytest.HTTP3),
		{Protocol: caddytest.HTTP1, URL: "http://" + s.caddy.Site, Transport: caddytest.NewStall().Transport()}, // its connections hold little
	}
	for i := range rooms {
		p := s.publish("rooms", i)
		p.path = "/" + p.channel
		for _, form := range []load.Form{load.Poll, load.Poll, load.Poll, load.Stream} {
			s.follow(load.Client{Form: form, Path: p.path, Rows: p.Topic})
		}
	}
	for i := range users {
		p := s.publish("users", i)
		p.channel, p.path, p.header = "inbox", "/inbox", []string{asUser(i, p.Topic.Name)}
		p.Hook = "http://" + s.caddy.Hook + "/inbox"
		for _, form := range []load.Form{load.Poll, load.Stream} {
			s.follow(load.Client{Form: form, Path: p.path, Rows: p.Topic, Header: p.header})
		}
	}
	for i := range feeds {
		p := s.publish("feed", i)
		for _, form := range []load.Form{load.Poll, load.Batch, load.Stream} {
			s.follow(load.Client{Form: form, Path: "/" + p.channel, Messages: []*load.Topic{p.Topic}})
			s.follow(load.Client{Form: form, Path: fmt.Sprint("/asked/", i), Messages: []*load.Topic{p.Topic}, Backend: true})
		}
	}
	return s
}

// publish adds a publisher on a channel.
func (s *soak) publish(kind string, i int) *publisher {
	name, every := fmt.Sprint(kind, "/", i), seldom
	if i < 2 && kind != "users" {
		every = often
	}
	p := &publisher{soak: s, channel: name, every: every}
	p.Publisher = load.Publisher{Load: &s.Load, Topic: s.Topic(name), Hook: "http://" + s.caddy.Hook + "/" + name, Transport: load.Fresh()}
	s.publishers = append(s.publishers, p)
	return p
}

// follow adds a client with any protocol.
func (s *soak) follow(c load.Client) {
	c.Sites = []*caddytest.Client{s.sites[rand.N(len(s.sites))]}
	s.Follow(c)
}

// excuse excuses requests that came to a backend that did not serve all the time.
func (s *soak) excuse(c *load.Client, began time.Time, failure *load.Failure) bool {
	return c.Backend && (failure.Kind == load.Unanswered || failure.Kind == load.Refused) && !s.backend.servedSince(began)
}

// warmUp lets all clients come and go once, and returns what Caddy holds from then on.
func (s *soak) warmUp() usage {
	s.backend.open(s.T)
	s.Start()
	load.Pause(s.T.Context(), time.Second)
	s.End()
	return s.settled()
}

// run is the soak itself.
func (s *soak) run() {
	answer := caddytest.Do(s.T.Context(), http.MethodGet, "http://"+s.caddy.Site+"/feed/0", "", "Prefer: wait=0")
	for _, c := range s.Clients {
		c.Position = answer.Header.Get("Last-Event-ID")
	}
	s.caddy.MustLoad(s.T, s.any()) // nothing is forgotten from now on
	s.backend.open(s.T)
	acts := []func(context.Context){s.report, s.reload, s.restart}
	for _, p := range s.publishers {
		acts = append(acts, p.run)
	}
	for range rogues {
		acts = append(acts, s.rogue)
	}
	s.Start()
	s.Act(*duration, acts...)
	s.checkBalance()
	s.Finish()
}
