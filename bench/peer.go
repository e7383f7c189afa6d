package main

import (
	"context"
	"errors"
	"fmt"
)

// Why figures of another server are not known.
var (
	errNoPid         = errors.New("no -pid is given")
	errNoPublication = errors.New("no -publish is given")
	errNotFresh      = errors.New("parked requests were measured first: restart the server, and give -parked 0")
	errOtherBackend  = errors.New("nobody counts what is asked behind that server")
	errNoCompare     = errors.New("what a request costs without that server is not known")
	errOneWay        = errors.New("whatever -publish sends counts as a message")
)

// measurePeer fills in the report of another server. What that cannot do is missing
// there.
func measurePeer(ctx context.Context, o *options, bar *progress, r *report) error {
	o.limit(r)
	r.missing("pass_through", errNoCompare)
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

// observe has the crowd come to another server, and leave. The figures that it finds
// are those of a part of the report.
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

// memoryOf is what processes hold together.
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
