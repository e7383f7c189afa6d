package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// A reader that has had news for longer, and heard nothing, is forgotten: prompt, and
// so many times what a request took lately that parker has nothing to do with. Where
// items come seldom, prompt is well within the time until the next.
const (
	prompt = 5 * time.Second
	many   = 10
)

// probe makes such requests until the context ends.
func (s *soak) probe(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		began := time.Now()
		s.probing.Store(began.UnixNano())
		answer := caddytest.DoWith(context.Background(), s.fresh, http.MethodGet, "http://"+s.caddy.Site+"/probe", "")
		if answer.Body != "here" {
			s.breaks("a plain request was answered %+v", answer)
			return
		}
		took := int64(time.Since(began))
		s.slowest.Store(max(took, s.slowest.Load()))
		// The worst counts for some seconds, and less and less.
		s.pace.Store(max(took, s.pace.Load()*98/100))
		s.probing.Store(0)
	}
}

// allowed is for how long a reader may have news that it does not hear.
func (s *soak) allowed() time.Duration {
	pace := time.Duration(s.pace.Load())
	if began := s.probing.Load(); began > 0 {
		pace = max(pace, time.Since(time.Unix(0, began)))
	}
	return prompt + many*pace
}

// watch looks for readers that are forgotten, until the context ends.
func (s *soak) watch(ctx context.Context) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for ; ctx.Err() == nil && !s.failed(); pause(ctx, 50*time.Millisecond) {
		allowed := s.allowed()
		for _, r := range s.readers {
			late, known := r.overdue()
			s.worst = max(s.worst, late)
			if late > allowed {
				s.breaks("%s has had news for %v that it does not hear, where %v are allowed; it has heard item %d of %d", r, late, allowed, known, r.topic.count())
				return
			}
		}
		select {
		case <-minute.C:
			s.t.Log(s.progress())
		default:
		}
	}
}

// progress is what has been done so far.
func (s *soak) progress() string {
	published := 0
	for _, p := range s.publishers {
		published += p.topic.count()
	}
	return fmt.Sprintf("%v: %d items published, heard %d times, %d asks, %d reloads (%d requests sent again), %d restarts of the backend; the latest reader %v late, a plain request %v; %s",
		time.Since(s.began).Round(time.Second), published, s.heard.Load(), s.board.asks.Load(), s.reloads.Load(), s.again.Load(), s.restarts.Load(),
		s.worst.Round(time.Millisecond), time.Duration(s.slowest.Load()).Round(time.Millisecond), s.usage())
}

// usage is what Caddy holds.
type usage struct{ heap, goroutines, descriptors int }

func (s *soak) usage() usage {
	return usage{s.caddy.Memory(s.t), s.caddy.Goroutines(s.t), len(s.caddy.Descriptors(s.t))}
}

func (u usage) String() string {
	return fmt.Sprintf("Caddy holds %.1f MB, %d goroutines, %d descriptors", float64(u.heap)/1e6, u.goroutines, u.descriptors)
}

// near tells whether Caddy holds no more than it did, but for what varies anyway.
func (u usage) near(before usage) bool {
	return u.heap < before.heap+before.heap/4+4_000_000 && u.goroutines <= before.goroutines+8 && u.descriptors <= before.descriptors+8
}

// waiting counts the polls and the streams of which the hook tells.
func (s *soak) waiting() (polls, streams int) {
	answer := caddytest.DoWith(context.Background(), s.fresh, http.MethodGet, "http://"+s.caddy.Hook+"/?limit=1000", "")
	var list struct {
		Channels []struct{ Waiting, Streams int }
	}
	if err := json.Unmarshal([]byte(answer.Body), &list); err != nil {
		s.breaks("the hook answered %+v", answer)
	}
	for _, channel := range list.Channels {
		polls += channel.Waiting
		streams += channel.Streams
	}
	return polls, streams
}
