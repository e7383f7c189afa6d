package parking

import (
	"cmp"
	"errors"
	"time"

	"github.com/caddy-parker/parker/internal/limit"
	"github.com/caddy-parker/parker/internal/lot"
)

// Limits counts the parked requests of a process against its limits. The zero value admits
// nothing until the limit of Memory is set.
type Limits struct {
	Clients  limit.Counter // requests of each client
	Channels limit.Spread  // of each client
	Memory   limit.Memory
	Browsers Browsers

	// Newest holds the waiter of the newest poll of each supersede key.
	Newest limit.Newest[Key, *lot.Waiter]

	Intervals Intervals
}

// Client says who has sent a request.
type Client struct {
	// Address is the client's IP address, as [limit.Client] returns it.
	Address string

	// Browser is the zero value unless the polls of one browser are limited.
	Browser Browser

	// Supersede, if it is not the zero key, makes the request end an older one of the
	// same key.
	Supersede Key

	// Page, if it is not the zero key, stands for the polls of a page with a timer, which
	// wait for each other in the browser.
	Page Key
}

// Shared is what several requests can hold, and counts once. Hold and Drop return by how
// many bytes the memory that is held grows or shrinks.
type Shared interface {
	Hold() (bytes int64)
	Drop() (bytes int64)
}

// counts is what a request counts for.
type counts struct {
	client bool   // it is one of its client's parked requests
	size   int64  // of what only it holds while it is parked, in bytes
	shared Shared // what it holds together with others; nil: it is not counted
	full   error  // the limit that keeps it from being parked
}

// The limits that keep a request from being held.
var (
	errMaxParked      = errors.New("max_parked is reached")
	errMaxParkedBytes = errors.New("the size of max_parked is reached")
	errPerClient      = errors.New("per_client is reached")
	errMaxChannels    = errors.New("max_channels_per_client is reached")
)

// Admit counts the request against the limits: its size in bytes, and what it shares with
// others. It returns false if a limit is reached.
func (s *Space) Admit(size int64, shared Shared) bool {
	if s.counts.full = s.countClient(); s.counts.full == nil {
		s.counts.full = s.weigh(size, shared)
	}
	return s.counts.full == nil
}

// Full returns which limit keeps the request from being parked.
func (s *Space) Full() error { return cmp.Or(s.counts.full, errMaxParked) }

// countClient counts the request as one of its client's.
func (s *Space) countClient() error {
	if s.counts.client {
		return nil
	}
	limits, address := s.config.Limits, s.client.Address
	if s.config.PerClient > 0 && !limits.Clients.Enter(address, s.config.PerClient) {
		return errPerClient
	}
	if !limits.Channels.Enter(address, s.channels, s.config.MaxChannels) {
		if s.config.PerClient > 0 {
			limits.Clients.Exit(address)
		}
		return errMaxChannels
	}
	s.counts.client = true
	return nil
}

func (s *Space) uncountClient() {
	if !s.counts.client {
		return
	}
	s.counts.client = false
	s.config.Limits.Channels.Exit(s.client.Address, s.channels)
	if s.config.PerClient > 0 {
		s.config.Limits.Clients.Exit(s.client.Address)
	}
}

// weigh counts what the request holds while it is parked.
func (s *Space) weigh(size int64, shared Shared) error {
	memory := &s.config.Limits.Memory
	if !memory.Add(size + shared.Hold()) {
		memory.Remove(size + shared.Drop())
		return errMaxParkedBytes
	}
	s.counts.size, s.counts.shared = size, shared
	return nil
}

// unweigh undoes weigh.
func (s *Space) unweigh() {
	if s.counts.shared == nil {
		return // not weighed
	}
	s.config.Limits.Memory.Remove(s.counts.size + s.counts.shared.Drop())
	s.counts.size, s.counts.shared = 0, nil
}

// Supersede ends the older request of the same key, if there is one. From now on a newer
// one ends this request.
func (s *Space) Supersede() {
	if s.client.Supersede == (Key{}) {
		return
	}
	if older, ok := s.config.Limits.Newest.Put(s.client.Supersede, s.Waiter); ok && older != s.Waiter {
		older.Supersede(s.Waiter)
	}
}

// Address returns the client's address: see [Client].
func (s *Space) Address() string { return s.client.Address }

// EndBeforeNext makes a poll that came now end before the next one of its page.
func (s *Space) EndBeforeNext(now time.Time) {
	if s.client.Page == (Key{}) {
		return
	}
	if next := now.Add(s.config.Limits.Intervals.Next(s.client.Page, s.client.Supersede)); next.Before(s.Deadline) {
		s.Deadline = next
	}
}
