package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// group is how many clients come at a time: it is about those that wait, not about a
// rush.
const group = 100

// target is what is measured: a URL at which clients wait.
type target struct {
	url    *url.URL
	header []string // that clients send

	// memory is what the server holds, in bytes. Its error is a reason why nobody
	// knows, and no other figure depends on it.
	memory func() (int64, error)

	// waiting is how many clients of the crowd are known to wait.
	waiting func(ctx context.Context, c *crowd) (int, error)

	// settle is how long it takes from then on until all do. 0: they do.
	settle time.Duration

	bar *progress
}

// gather has clients come and wait, and measures what each of them weighs there.
// noMemory says why that is not known.
func (t *target) gather(ctx context.Context, c *crowd, n int) (bytesEach *int64, noMemory, err error) {
	before, noMemory := t.memory()
	for come := 0; come < n; {
		t.bar.show("connecting", come, n)
		more := min(group, n-come)
		if err := c.add(ctx, more); err != nil {
			return nil, nil, err
		}
		come += more
		if err := t.await(ctx, c, come); err != nil {
			return nil, nil, err
		}
	}
	if err := t.rest(ctx); err != nil {
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

// publishes publishes again and again for a while, once at least, and measures how
// long each takes to all of the crowd. It ends early where some do not hear.
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
	return nil, fmt.Errorf("nobody heard of a publish within %s", patience)
}

// await returns when so many of the crowd are known to wait.
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
			return errors.Join(fmt.Errorf("%d requests wait after %s, not %d", waiting, patience, n), err)
		}
	}
}

// rest returns when those that are known to wait do.
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
