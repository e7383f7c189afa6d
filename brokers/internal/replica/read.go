package replica

import (
	"context"
	"errors"
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
	r.awaitLog(ctx)
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

// awaitLog waits for the log in a process that has just started, but not long: before,
// it knows no position of a client that was elsewhere.
func (r *replica) awaitLog(ctx context.Context) {
	select {
	case <-r.inStep:
		return
	default:
	}
	r.mu.Lock()
	left := time.Until(r.began.Add(logPatience))
	r.mu.Unlock()
	select {
	case <-r.inStep:
	case <-ctx.Done():
	case <-time.After(left):
	}
}

// catchUp waits until all is read that a position covers. It tells whether the
// position can be one of this log: no other process can have read what the log does
// not hold. While the server is away nobody knows, and it is believed.
//
// What is found to be all may have been on its way before the position came; what
// is found so for the second time was not.
//
// Clients can make up positions. So it does not wait where many wait already: then the
// position is not known.
func (r *replica) catchUp(ctx context.Context, to brokers.Position) (known bool, err error) {
	w := wait{replica: r}
	defer w.end()
	if err := w.forEpoch(ctx, to.Epoch); err != nil {
		return false, orUnknown(err)
	}
	epoch, twice := r.copy.epoch, r.copy.confirmed+2
	for to.Epoch == epoch {
		switch {
		case r.copy.offset >= to.Offset:
			return true, nil
		case r.copy.confirmed >= twice:
			return false, nil
		case !r.reachable:
			return true, nil
		}
		if err := w.forProgress(ctx); err != nil || r.copy.epoch != epoch {
			return false, orUnknown(err)
		}
	}
	return false, nil
}

// maxWaits is how many readers wait at once for the copy to get on. Each of them looks
// at it whenever it does.
const maxWaits = 1000

// Why a reader waits no longer.
var (
	errLooked  = errors.New("the epoch is not the log's")
	errCrowded = errors.New("as many as may wait already")
)

// orUnknown is the error, or nil where it says no more than that nothing is known.
func orUnknown(err error) error {
	if errors.Is(err, errLooked) || errors.Is(err, errCrowded) {
		return nil
	}
	return err
}

// wait is one reader's wait for the copy to get on. Its user holds mu.
type wait struct {
	*replica
	counted bool
}

// forProgress returns when the copy has got on.
func (w *wait) forProgress(ctx context.Context) (err error) {
	if !w.counted {
		if w.waits >= maxWaits {
			return errCrowded
		}
		w.waits++
		w.counted = true
	}
	progress := w.progress
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-progress:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *wait) end() {
	if w.counted {
		w.waits--
	}
}

// forEpoch waits for another epoch, if it may be one that other processes know
// already. The log's is looked at whenever it is found to hold no more.
func (w *wait) forEpoch(ctx context.Context, epoch string) error {
	if epoch == "" || slices.Contains(w.past, epoch) {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, epochPatience, errLooked)
	defer cancel()
	looked := w.copy
	twice := looked.confirmed + 2
	for epoch != w.copy.epoch && (w.copy != looked || looked.confirmed < twice) {
		if err := w.forProgress(ctx); err != nil {
			return err
		}
	}
	return nil
}
