package parking

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/lot"
)

func config() *Config {
	c := &Config{Lot: lot.New(), Limits: new(Limits), MaxChannels: 10}
	c.Limits.Memory.SetLimit(1000)
	return c
}

func (c *Config) space(client Client, channels ...string) *Space {
	s := c.New(c.Lot.Register(channels, lot.Messages), channels, client)
	return &s
}

func TestSpaceAdmitCountsAgainstEachLimit(t *testing.T) {
	c := config()
	c.PerClient, c.MaxChannels = 2, 3
	kept := &ask.Answer{Body: make([]byte, 600)}
	alice, bob := Client{Address: "192.0.2.1"}, Client{Address: "192.0.2.2"}

	first, second := c.space(alice, "a", "b"), c.space(alice, "c")
	if !first.Admit(100, kept) || !second.Admit(100, kept) {
		t.Fatal("two requests of one client that share an answer were not admitted")
	}
	for want, s := range map[error]*Space{
		errPerClient:      c.space(alice, "a"),
		errMaxChannels:    c.space(bob, "a", "b", "c", "d"),
		errMaxParkedBytes: c.space(bob, "a"),
	} {
		if size := int64(201); s.Admit(size, kept) || s.Full() != want {
			t.Errorf("Full = %v, want %v", s.Full(), want)
		}
		s.Close()
	}
	until := time.Now().Add(-time.Hour)
	for _, s := range []*Space{first, second} {
		if !s.Park(until) {
			t.Fatal("the request was not parked")
		}
		s.Wait(context.Background())
		if o, _, stayed := s.Outcome(); !stayed || o.Cause != lot.TimedOut {
			t.Errorf("Outcome = %v, %v", o, stayed)
		}
		s.Close()
	}
	third := c.space(alice, "a", "b", "c")
	if !third.Admit(400, kept) {
		t.Errorf("what has ended still counts: %v", third.Full())
	}
}

func TestSpaceParkEndsOldestPollOfOneBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config()
		c.PerBrowser = 2
		r := &http.Request{Host: "site.test", ProtoMajor: 1, Header: http.Header{"Cookie": {"id=1"}}}
		var spaces []*Space
		for range 3 {
			s := c.space(Client{Address: "192.0.2.1", Browser: BrowserOf(r, "192.0.2.1", "/poll")}, "a")
			if !s.Park(time.Now().Add(time.Minute)) {
				t.Fatal("the request was not parked")
			}
			spaces = append(spaces, s)
			time.Sleep(100 * time.Millisecond)
		}
		spaces[0].Wait(t.Context())
		if o, held, _ := spaces[0].Outcome(); o.Cause != lot.Superseded || held != leastParked {
			t.Errorf("the oldest poll ended with %v after %v, want %v after %v", o.Cause, held, lot.Superseded, leastParked)
		}
		for _, s := range spaces[1:] {
			s.Wait(t.Context())
			if o, held, _ := s.Outcome(); o.Cause != lot.TimedOut {
				t.Errorf("a newer poll ended with %v after %v", o.Cause, held)
			}
		}
		if len(c.Limits.Browsers.parked) != 0 {
			t.Errorf("left: %v", c.Limits.Browsers.parked)
		}
	})
}

func TestSpaceContinueAndFollowKeepEventsAndKeys(t *testing.T) {
	newest := Client{Supersede: KeyOf("tab")}
	for name, takeOver := range map[string]func(from, to *Space){
		"Continue": func(from, to *Space) { to.Continue(from) },
		"Follow":   func(from, to *Space) { to.Follow(from, true) },
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			from := c.space(newest, "a")
			from.Supersede()
			c.Lot.Release(brokers.Event{Channel: "a", Message: &brokers.Message{Body: []byte("news")}})
			to := c.space(newest, "a")
			takeOver(from, to)
			from.Close()
			if to.Park(time.Now().Add(time.Hour)) {
				t.Fatal("the event was lost")
			}
			if o, _, _ := to.Outcome(); o.Cause != lot.Published || string(o.Event.Message.Body) != "news" {
				t.Errorf("Outcome = %v", o)
			}
			c.space(newest, "a").Supersede()
			if to.Park(time.Now().Add(time.Hour)) {
				t.Fatal("a newer request of the same key did not end this one")
			}
			if o, _, _ := to.Outcome(); o.Cause != lot.Superseded {
				t.Errorf("Outcome = %v", o)
			}
		})
	}
}

func TestSpaceContinueWithAnotherKeyDropsTheOld(t *testing.T) {
	c := config()
	first := c.space(Client{Supersede: KeyOf("old")}, "a")
	first.Supersede()
	second := c.space(Client{Supersede: KeyOf("new")}, "a")
	second.Continue(first)
	first.Close()
	third := c.space(Client{Supersede: KeyOf("old")}, "a")
	third.Continue(second) // as a reload that changes the option back
	second.Close()
	if !third.Park(time.Now().Add(time.Hour)) {
		t.Error("the request has superseded itself")
	}
	third.Waiter.Leave()
	third.Close()
	waiter := c.Lot.Register(nil, lot.Messages)
	for _, key := range []string{"old", "new"} {
		if _, left := c.Limits.Newest.Put(KeyOf(key), waiter); left {
			t.Errorf("the key %s is left", key)
		}
	}
}
