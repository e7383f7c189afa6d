package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// group is the number of clients that connect at a time, so that connecting is not
// measured as a burst.
const group = 100

// target is a URL that is measured.
type target struct {
	url    *url.URL
	header []string // header lines that clients send

	// memory returns the memory of the server in bytes. If it returns an error, only
	// the memory is missing in the report.
	memory func() (int64, error)

	// waiting returns the number of clients of the crowd that are known to wait.
	waiting func(ctx context.Context, c *crowd) (int, error)

	// settle is the time after which all these clients really wait. It is 0 if waiting
	// is exact.
	settle time.Duration

	bar *progress
}

// gather adds n clients, waits until they wait, and measures the memory that each of them
// takes at the server. noMemory is the reason if that is not known.
func (t *target) gather(ctx context.Context, c *crowd, n int) (bytesEach *int64, noMemory, err error) {
	before, noMemory := t.memory()
	if err := t.connect(ctx, c, n); err != nil {
		return nil, nil, err
	}
	if _, lost := c.size(); lost != nil || noMemory != nil {
		return nil, noMemory, lost
	}
	after, noMemory := t.memory()
	if noMemory != nil {
		return nil, noMemory, nil
	}
	return new((after - before) / int64(n)), nil, nil
}

// connect adds n clients, and returns when they wait.
func (t *target) connect(ctx context.Context, c *crowd, n int) error {
	for come := 0; come < n; {
		t.bar.show("connecting", come, n)
		more := min(group, n-come)
		if err := c.add(ctx, more); err != nil {
			return err
		}
		come += more
		if err := t.await(ctx, c, come); err != nil {
			return err
		}
	}
	return t.rest(ctx)
}

// publishes publishes again and again for the duration, at least once, and measures the
// time until all clients have received each event. It ends early if a client does not
// receive an event.
func (t *target) publishes(ctx context.Context, c *crowd, what string, duration time.Duration, publish func(context.Context) error) (*release, error) {
	var rounds []*round
	for begin := time.Now(); len(rounds) == 0 || time.Since(begin) < duration; {
		t.bar.show(what, int(time.Since(begin)), int(duration))
		n, _ := c.size()
		if err := errors.Join(t.await(ctx, c, n), t.rest(ctx)); err != nil {
			return nil, err
		}
		r, err := c.hear(ctx, publish)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
		if len(r.sorted()) < r.want {
			break
		}
	}
	if sum := releaseOf(rounds); sum != nil {
		return sum, nil
	}
	return nil, fmt.Errorf("no client received a publish within %s", patience)
}

// await returns when n clients of the crowd are known to wait.
func (t *target) await(ctx context.Context, c *crowd, n int) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		waiting, err := t.waiting(limited, c)
		if _, lost := c.size(); lost != nil {
			return lost
		}
		if err == nil && waiting == n {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return errors.Join(fmt.Errorf("%d requests are waiting after %s, not %d", waiting, patience, n), err)
		}
	}
}

// rest returns when all clients that are known to wait really do.
func (t *target) rest(ctx context.Context) error {
	settled := time.NewTimer(t.settle)
	defer settled.Stop()
	select {
	case <-settled.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
