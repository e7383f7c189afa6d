// Package parking gives a request its place in the lot. A [Space] holds the request's
// waiter, parks it until something happens, and counts it against the limits meanwhile.
// It knows nothing of what the request asks for.
package parking

import (
	"context"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Space is one request's place in the lot. It belongs to the goroutine that serves the
// request.
type Space struct {
	// Waiter hears of the events on the request's channels.
	Waiter *lot.Waiter

	// Deadline is when the client must have its answer.
	Deadline time.Time

	channels []string
	config   *Config
	client   Client

	outcomes chan lot.Outcome  // the waiter's; at most one is under way
	outcome  func(lot.Outcome) // sends one
	since    time.Time         // when it was parked; zero: it is not parked
	ended    lot.Outcome       // of the last time that it was parked
	left     bool              // the client left meanwhile

	counts counts
}

// Config is what the spaces of one handler have in common.
type Config struct {
	Lot    *lot.Lot
	Limits *Limits

	// PerClient is the maximum number of parked requests of one client. 0: no limit.
	PerClient int

	// PerBrowser is the maximum number of polls of one browser that are parked on one
	// path over HTTP/1.1. 0: no limit.
	PerBrowser int

	// MaxChannels is the maximum number of different channels on which the requests of
	// one client are parked.
	MaxChannels int

	// Spread is how long the release of a channel's requests takes.
	Spread time.Duration
}

// New returns the space of a request. [Space.Close] must follow.
func (c *Config) New(waiter *lot.Waiter, channels []string, client Client) Space {
	return Space{Waiter: waiter, channels: channels, config: c, client: client}
}

// Hold calls ended when a deadline passes, unless [Space.Unhold] comes first. Events are
// noted meanwhile.
func (s *Space) Hold(until time.Time, ended func()) {
	s.readyOutcomes()
	s.Waiter.Hold(until, func(o lot.Outcome) {
		s.outcome(o)
		ended()
	})
}

// Heed makes [Space.Outcomes] receive when a deadline passes or an event comes, unless
// [Space.Unhold] comes first. It returns false if an event has come already.
func (s *Space) Heed(until time.Time) bool {
	s.readyOutcomes()
	return s.Waiter.Heed(until, s.outcome)
}

// Outcomes receives what ends [Space.Heed].
func (s *Space) Outcomes() <-chan lot.Outcome { return s.outcomes }

// Unhold ends [Space.Hold] or [Space.Heed], which may have ended already.
func (s *Space) Unhold() {
	if !s.Waiter.Leave() {
		<-s.outcomes
	}
}

func (s *Space) readyOutcomes() {
	if s.outcomes == nil {
		outcomes := make(chan lot.Outcome, 1)
		s.outcomes = outcomes
		s.outcome = func(o lot.Outcome) { outcomes <- o }
	}
}

// WasHeld reports whether the waiter has ever been parked or held, so that the lot may
// still have something of the request.
func (s *Space) WasHeld() bool { return s.outcomes != nil }

// Reset forgets the last outcome. It must come before the request is parked again.
func (s *Space) Reset() { s.ended, s.left = lot.Outcome{}, false }

// End makes an outcome the one of a space that is not parked, because it is known already.
func (s *Space) End(o lot.Outcome) { s.ended = o }

// Park parks the waiter until a time at the latest. [Space.Wait] must follow. It returns
// false if something has happened already: then [Space.Outcome] returns it at once.
func (s *Space) Park(until time.Time) (parked bool) {
	begin := time.Now()
	s.readyOutcomes()
	s.ended, parked = s.Waiter.Park(lot.Parking{Until: until, Spread: s.config.Spread, Release: s.outcome})
	if !parked {
		s.unweigh()
		return false
	}
	s.since = begin
	s.browse()
	return true
}

// Wait returns when the waiter is released, or ctx is done because the client has left.
// All goroutines of parked requests wait here, so it does nothing else: the less they have
// on their stacks, the more stacks Go's collector can shrink.
func (s *Space) Wait(ctx context.Context) {
	select {
	case s.ended = <-s.outcomes:
	case <-ctx.Done():
		s.left = true
	}
}

// Parked reports whether the request was parked, and its outcome was not read yet.
func (s *Space) Parked() bool { return !s.since.IsZero() }

// Outcome returns what ended the wait, and how long the request was parked: 0 if it was
// not. stayed is false if the client has left.
func (s *Space) Outcome() (o lot.Outcome, held time.Duration, stayed bool) {
	if s.since.IsZero() {
		return s.ended, 0, true
	}
	if s.left {
		s.Unhold()
	}
	s.unbrowse()
	s.unweigh()
	held = time.Since(s.since)
	s.since = time.Time{}
	return s.ended, held, !s.left
}

// Over reports whether the deadline has passed.
func (s *Space) Over() bool { return !time.Now().Before(s.Deadline) }

// Cause returns what ended the last wait, or 0 before the first.
func (s *Space) Cause() lot.Cause { return s.ended.Cause }

// Continue makes the space take over from one of an older configuration, for a request that
// waits for the same events in the same form: it goes on with the same waiter.
func (s *Space) Continue(from *Space) {
	s.Waiter, from.Waiter = from.Waiter, s.Waiter
	if s.client.Supersede != from.client.Supersede {
		from.dropNewest(s.Waiter)
		s.Supersede()
	}
}

// Follow makes the space take over from one of an older configuration whose request waits
// for other events. If inherit is true, the waiter takes along what the older one has
// noted.
func (s *Space) Follow(from *Space, inherit bool) {
	if inherit {
		s.Waiter.Inherit(from.Waiter)
	}
	key := s.client.Supersede
	switch {
	case key != from.client.Supersede:
		s.Supersede()
	case key != (Key{}) && !s.config.Limits.Newest.Replace(key, from.Waiter, s.Waiter):
		s.Waiter.Supersede(nil) // a newer request has come meanwhile
	}
}

// Close removes the request from the lot, and from what it counts for.
func (s *Space) Close() {
	if s.client.Page != (Key{}) {
		s.config.Limits.Intervals.Answered(s.client.Page, s.client.Supersede)
	}
	s.dropNewest(s.Waiter)
	s.uncountClient()
	s.Waiter.Close()
}

// dropNewest removes the waiter as the newest one of the space's key, if it is.
func (s *Space) dropNewest(waiter *lot.Waiter) {
	if s.client.Supersede != (Key{}) {
		s.config.Limits.Newest.Drop(s.client.Supersede, waiter)
	}
}
