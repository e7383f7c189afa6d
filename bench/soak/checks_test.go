package main

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// breaks says that a promise is broken. The first is the one to look at: all ends
// then.
func (s *soak) breaks(format string, values ...any) {
	if !s.broken.Swap(true) {
		s.calm()
		s.t.Errorf("after %v: %v", time.Since(s.began).Round(time.Millisecond), fmt.Errorf(format, values...))
	}
}

func (s *soak) failed() bool { return s.broken.Load() }

// isBusy tells whether things happen at random still.
func (s *soak) isBusy() bool { return s.busy.Err() == nil }

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// await returns when nothing stands in the way any more, or says what does.
func (s *soak) await(obstacle func() string) {
	deadline := time.Now().Add(caddytest.Patience)
	for what := obstacle(); what != "" && !s.failed(); what = obstacle() {
		if time.Now().After(deadline) {
			s.breaks("%s", what)
		}
		pause(s.t.Context(), 10*time.Millisecond)
	}
}

// checkBalance waits until everybody has heard everything, and the hook counts just
// those who wait.
func (s *soak) checkBalance() {
	s.await(func() string {
		for _, r := range s.readers {
			if !r.waits() {
				return fmt.Sprintf("%s has not heard all, or does not wait", r)
			}
		}
		return ""
	})
	polls, streams := 0, 0
	for _, r := range s.readers {
		if r.form.streams {
			streams++
		} else {
			polls++
		}
	}
	s.awaitWaiting(polls, streams)
}

// awaitWaiting returns when just so many wait.
func (s *soak) awaitWaiting(polls, streams int) {
	s.await(func() string {
		if p, q := s.waiting(); p != polls || q != streams {
			return fmt.Sprintf("the hook counts %d polls and %d streams, where %d and %d wait", p, q, polls, streams)
		}
		return ""
	})
}

// settled is what Caddy holds when all have left, and the backend too.
func (s *soak) settled() usage {
	for _, client := range s.clients {
		client.Disconnect()
	}
	s.slow.CloseIdleConnections()
	s.board.close()
	s.awaitWaiting(0, 0)
	held := s.usage()
	s.await(func() string {
		pause(s.t.Context(), time.Second)
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
	s.caddy.MustLoad(s.t, s.plain())
	after := s.settled()
	s.t.Logf("before, %v; afterwards, %v", before, after)
	if !after.near(before) {
		s.breaks("before, %v; afterwards, %v: %s", before, after, s.caddy.Descriptors(s.t))
	}
}
