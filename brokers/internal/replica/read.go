package replica

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Position implements [brokers.Broker].
func (r *replica) Position() brokers.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copy.position()
}

// Newest implements [brokers.Broker].
func (r *replica) Newest(channels []string) brokers.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return brokers.Position{Epoch: r.copy.epoch, Offset: r.copy.history.Last(channels)}
}

// Events implements [brokers.Broker]. A client may come from a process that is
// ahead of this one by some milliseconds: then it waits for the rest. What waits for the
// server is a wake-up so far.
func (r *replica) Events(ctx context.Context, channels []string, after brokers.Position, limit int) (missed []brokers.Event, complete bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.catchUp(ctx, after)
	if !known || err != nil {
		return nil, false, err
	}
	missed, complete = r.copy.history.After(channels, after.Offset, limit)
	if n := len(missed); n > 0 {
		after = missed[n-1].Position
	}
	for _, e := range r.outbox.entries {
		if e.result.Unreachable && slices.Contains(channels, e.Channel) {
			return append(missed, brokers.Event{Channel: e.Channel, Position: after, Uncounted: true}), complete, nil
		}
	}
	return missed, complete, nil
}

// maxWaits is how many readers wait at once for the copy to get on. Each of them looks
// at it whenever it does.
const maxWaits = 1000

// catchUp waits until all is read that a position covers. It reports whether the
// position can be one of this log: no other process can have read what the log does
// not hold. While the server is away, or slow, nobody knows, and it is believed. One of
// another epoch may be of a log that other processes know already.
//
// What is found to be all may have been on its way before the position came; what
// is found so for the second time was not.
//
// Clients can make up positions. So it does not wait where many wait already: then the
// position is not known. The caller holds mu.
func (r *replica) catchUp(ctx context.Context, to brokers.Position) (known bool, err error) {
	looked, twice := r.copy, r.copy.confirmed+2
	var late <-chan time.Time
	for {
		same := to.Epoch == r.copy.epoch
		if same && looked != r.copy {
			looked, twice = r.copy, r.copy.confirmed+2
		}
		switch {
		case same && r.copy.offset >= to.Offset:
			return true, nil
		case !same && (to.Epoch == "" || slices.Contains(r.past, to.Epoch)), looked == r.copy && looked.confirmed >= twice:
			return false, nil
		case same && !r.reachable:
			return true, nil
		case late == nil && r.waits >= maxWaits:
			return false, nil
		case late == nil:
			late = time.After(epochPatience)
			r.waits++
			defer func() { r.waits-- }()
		}
		progress := r.progress
		r.mu.Unlock()
		select {
		case <-progress:
			r.mu.Lock()
		case <-late:
			r.mu.Lock()
			return same, nil
		case <-ctx.Done():
			r.mu.Lock()
			return false, context.Cause(ctx)
		}
	}
}
