package main

import (
	"context"
	"errors"
	"fmt"
)

// Reasons why figures of another server are missing.
var (
	errNoPid         = errors.New("no -pid is given")
	errNoPublication = errors.New("no -publish is given")
	errNotFresh      = errors.New("parked requests were measured before: restart the server and use -parked 0")
	errOtherBackend  = errors.New("requests at that server's backend are not counted")
	errNoCompare     = errors.New("there is no measurement without that server to compare with")
	errOnlyParker    = errors.New("only parker is compared with a bare server")
	errOneWay        = errors.New("all requests of -publish count as messages")
)

// measurePeer fills in the report of another server. Figures that cannot be measured are
// recorded as missing.
func measurePeer(ctx context.Context, o *options, bar *progress, r *report) error {
	o.limit(r)
	r.missing("pass_through", errNoCompare)
	r.missing("compared", errOnlyParker)
	t := &target{url: o.url, header: o.header, settle: o.settle, bar: bar, memory: func() (int64, error) { return memoryOf(o.pids) }}
	if o.parked > 0 {
		t.waiting = func(_ context.Context, c *crowd) (int, error) {
			n, _ := c.size()
			return n, nil
		}
		r.Parked = &parked{Clients: o.parked}
		r.missing("parked.wake_up", errOneWay)
		r.missing("parked.backend", errOtherBackend)
		c := newCrowd(t.url, t.header, false)
		if err := t.observe(ctx, o, r, c, o.parked, "parked", &r.Parked.Bytes, &r.Parked.Message); err != nil {
			return err
		}
		t.memory = func() (int64, error) { return 0, errNotFresh }
	}
	if o.streams > 0 {
		t.waiting = func(_ context.Context, c *crowd) (int, error) { return int(c.open.Load()), nil }
		r.Streams = &streams{Clients: o.streams}
		c := newCrowd(t.url, t.header, true)
		return t.observe(ctx, o, r, c, o.streams, "streams", &r.Streams.Bytes, &r.Streams.Message)
	}
	return nil
}

// observe connects a crowd to another server, measures, and disconnects it. part is the
// name of the part of the report that it fills in.
func (t *target) observe(ctx context.Context, o *options, r *report, c *crowd, n int, part string, bytesEach **int64, message **release) error {
	defer c.leave()
	var noMemory, err error
	*bytesEach, noMemory, err = t.gather(ctx, c, n)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.missing(part+".bytes_each", err)
		r.missing(part+".message", err)
		return nil
	case o.publication == nil:
		err = errNoPublication
	default:
		*message, err = t.publishes(ctx, c, "publishing", o.duration, o.publication.send)
	}
	r.missing(part+".bytes_each", noMemory)
	r.missing(part+".message", err)
	return ctx.Err()
}

// memoryOf returns the total resident memory of processes.
func memoryOf(pids []int) (sum int64, err error) {
	if len(pids) == 0 {
		return 0, errNoPid
	}
	for _, pid := range pids {
		bytes, err := residentMemory(pid)
		if err != nil {
			return 0, fmt.Errorf("-pid %d: %w", pid, err)
		}
		sum += bytes
	}
	return sum, nil
}
