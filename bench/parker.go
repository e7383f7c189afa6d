package main

import (
	"context"
	"fmt"
	"os"
)

// subject is the parker that is measured: a Caddy with its backend.
type subject struct {
	backend *backend
	caddy   *process
}

// subjectCaddyfile has a route for polls and one for messages only.
const subjectCaddyfile = `{%s
	parker {
		max_parked 10000000
	}
}
http://{$SITE} {
	%s
	parker /events {
		hold messages
	}
	reverse_proxy %s
}
http://{$HOOK} {
	parker_publish
}`

// sharedPolls is a parker directive with which all clients share answers.
const sharedPolls = `parker /messages {
		share public
	}`

// startSubject starts a subject. polls is the directive that holds requests for /messages.
func startSubject(ctx context.Context, polls string) (*subject, error) {
	backend, err := startBackend("")
	if err != nil {
		return nil, err
	}
	s := &subject{backend: backend}
	s.caddy, err = startCaddy(ctx, fmt.Sprintf(subjectCaddyfile, globalOptions, polls, backend.address))
	if err != nil {
		s.backend.stop()
		return nil, err
	}
	return s, nil
}

func (s *subject) stop() {
	s.caddy.stop()
	s.backend.stop()
}

// warm connects and disconnects some clients, so that memory that Caddy allocates once is
// not counted as memory of clients.
func (s *subject) warm(ctx context.Context, t *target, streams bool) error {
	c := newCrowd(t.url, t.header, streams)
	defer c.leave()
	if err := c.add(ctx, group); err != nil {
		return err
	}
	if err := t.await(ctx, c, group); err != nil {
		return err
	}
	c.leave()
	return t.await(ctx, c, 0)
}

// wake gives the backend news, and publishes without a message.
func (s *subject) wake(ctx context.Context) error {
	s.backend.version.Add(1)
	return s.caddy.publish(ctx, "messages", "")
}

// message is the message that is published, and the answer that passes through.
const message = `{"price":42.5,"volume":1000}`

// measureParker fills in the report.
func measureParker(ctx context.Context, o *options, bar *progress, r *report) error {
	o.limit(r)
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o777); err != nil {
			return fmt.Errorf("making the folder for profiles: %w", err)
		}
	}
	if err := measurePassing(ctx, o, bar, r); err != nil {
		return err
	}
	if o.parked > 0 {
		if err := measureParked(ctx, o, bar, r); err != nil {
			return fmt.Errorf("parked requests: %w", err)
		}
	}
	if o.streams > 0 {
		if err := measureStreams(ctx, o, bar, r); err != nil {
			return fmt.Errorf("streams: %w", err)
		}
	}
	if o.compared > 0 {
		if err := measureCompared(ctx, o, bar, r); err != nil {
			return fmt.Errorf("comparing with a bare server: %w", err)
		}
	}
	return nil
}

// measurePassing measures the processor time of a request that is not held.
func measurePassing(ctx context.Context, o *options, bar *progress, r *report) error {
	if _, err := processorTime(os.Getpid()); err != nil {
		r.missing("pass_through", err)
		return nil
	}
	p, err := startPassing(ctx, message)
	if err != nil {
		return err
	}
	defer p.stop()
	r.PassThrough, err = p.measure(ctx, o.duration, bar)
	return err
}

// measureParked measures parked requests and their release by a publish.
func measureParked(ctx context.Context, o *options, bar *progress, r *report) error {
	s, err := startSubject(ctx, sharedPolls)
	if err != nil {
		return err
	}
	defer s.stop()
	t := s.caddy.target("messages", bar)
	if err := s.warm(ctx, t, false); err != nil {
		return err
	}
	asked := s.backend.asked.Load()
	c := newCrowd(t.url, t.header, false)
	defer c.leave()
	f := &parked{Clients: o.parked}
	var noMemory error
	if f.Bytes, noMemory, err = t.gather(ctx, c, o.parked); err != nil {
		return err
	}
	r.missing("parked.bytes_each", noMemory)
	if f.WakeUp, err = t.publishes(ctx, c, "releasing by wake-ups", o.duration, s.wake); err != nil {
		return err
	}
	if f.Message, err = t.publishes(ctx, c, "releasing by messages", o.duration, func(ctx context.Context) error {
		return s.caddy.publish(ctx, "messages", message)
	}); err != nil {
		return err
	}
	if err := t.await(ctx, c, o.parked); err != nil { // each client has polled again
		return err
	}
	f.Backend = &spared{Polls: c.sent.Load(), Asks: s.backend.asked.Load() - asked}
	f.Backend.Saved = 1 - float64(f.Backend.Asks)/float64(f.Backend.Polls)
	r.Parked = f
	return nil
}

// measureStreams measures streams and messages to all of them.
func measureStreams(ctx context.Context, o *options, bar *progress, r *report) error {
	s, err := startSubject(ctx, sharedPolls)
	if err != nil {
		return err
	}
	defer s.stop()
	t := s.caddy.target("events", bar)
	if err := s.warm(ctx, t, true); err != nil {
		return err
	}
	c := newCrowd(t.url, t.header, true)
	defer c.leave()
	f := &streams{Clients: o.streams}
	var noMemory error
	if f.Bytes, noMemory, err = t.gather(ctx, c, o.streams); err != nil {
		return err
	}
	r.missing("streams.bytes_each", noMemory)
	f.Message, err = t.publishes(ctx, c, "messages to streams", o.duration, func(ctx context.Context) error {
		return s.caddy.publish(ctx, "events", message)
	})
	r.Streams = f
	return err
}
