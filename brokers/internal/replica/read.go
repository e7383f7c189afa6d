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

// Events implements [brokers.Broker]. A client may come from a process that is some
// milliseconds ahead of this one. Events then waits until this process has caught up.
// Entries in the outbox that were accepted appear as one wake-up.
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

// maxWaits limits how many readers wait for the copy at once, as each of them is woken
// by every batch.
const maxWaits = 1000

// catchUp waits until this process has read everything that a position covers. known is
// false if the position is not one of this log: no process can have read beyond the end
// of the log. While the server is unreachable or slow this cannot be checked, and a
// position of the current epoch is accepted. A position of an unknown epoch may belong
// to a new log that other processes have already switched to, so catchUp waits for that,
// too.
//
// The first batch that reports the end of the log may have been sent before the position
// arrived. Only the second one shows that there is no more to read.
//
// Clients can forge positions. So if too many readers wait already, catchUp does not
// wait and known is false. The caller holds mu.
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
