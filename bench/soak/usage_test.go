package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// report logs the progress once a minute until the context ends.
func (s *soak) report(ctx context.Context) {
	for load.Pause(ctx, time.Minute); ctx.Err() == nil; load.Pause(ctx, time.Minute) {
		s.T.Log(s.progress())
	}
}

// progress describes what has happened so far.
func (s *soak) progress() string {
	return fmt.Sprintf("%s; %d asks, %d reloads, %d restarts of the backend; %s", s.Progress(), s.Board.Asks.Load(), s.reloads.Load(), s.restarts.Load(), s.usage())
}

// usage is what Caddy holds.
type usage struct{ heap, goroutines, descriptors int }

func (s *soak) usage() usage {
	return usage{s.caddy.Memory(s.T), s.caddy.Goroutines(s.T), len(s.caddy.Descriptors(s.T))}
}

func (u usage) String() string {
	return fmt.Sprintf("Caddy holds %.1f MB, %d goroutines, %d descriptors", float64(u.heap)/1e6, u.goroutines, u.descriptors)
}

// near reports whether Caddy holds no more than it did, but for what varies anyway.
func (u usage) near(before usage) bool {
	return u.heap < before.heap+before.heap/4+4_000_000 && u.goroutines <= before.goroutines+8 && u.descriptors <= before.descriptors+8
}

// settled returns what Caddy holds when all clients have left, and the backend too.
func (s *soak) settled() usage {
	for _, site := range s.sites {
		site.Disconnect()
		if transport, ok := site.Transport.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
	}
	s.backend.close()
	s.awaitWaiting(0, 0)
	held := s.usage()
	s.Await(func() string {
		load.Pause(s.T.Context(), time.Second)
		before := held
		if held = s.usage(); held.goroutines < before.goroutines || held.descriptors < before.descriptors {
			return "Caddy holds less and less"
		}
		return ""
	})
	return held
}

// checkReturn waits until Caddy holds no more than it did before.
func (s *soak) checkReturn(before usage) {
	s.caddy.MustLoad(s.T, s.plain())
	after := s.settled()
	s.T.Logf("before, %v; afterwards, %v", before, after)
	if !after.near(before) {
		s.Breaks("before, %v; afterwards, %v: %s", before, after, s.caddy.Descriptors(s.T))
	}
}

// checkBalance waits until all clients have heard everything, and the hook counts just
// those that wait.
func (s *soak) checkBalance() {
	polls, streams := 0, 0
	for _, c := range s.Clients {
		if c.Form == load.Stream {
			streams++
		} else {
			polls++
		}
	}
	s.AwaitHeard()
	s.awaitWaiting(polls, streams)
}

// awaitWaiting returns when just so many wait, as the hook counts.
func (s *soak) awaitWaiting(polls, streams int) {
	s.Await(func() string {
		answer := caddytest.DoWith(s.T.Context(), load.Fresh(), http.MethodGet, "http://"+s.caddy.Hook+"/?limit=1000", "")
		var list struct {
			Channels []struct{ Waiting, Streams int }
		}
		if err := json.Unmarshal([]byte(answer.Body), &list); err != nil {
			return fmt.Sprintf("the hook answered %+v", answer)
		}
		p, q := 0, 0
		for _, channel := range list.Channels {
			p, q = p+channel.Waiting, q+channel.Streams
		}
		if p != polls || q != streams {
			return fmt.Sprintf("the hook counts %d polls and %d streams, where %d and %d wait", p, q, polls, streams)
		}
		return ""
	})
}
