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
	return r.positionIn(r.copy)
}

// Newest implements [brokers.Broker].
func (r *replica) Newest(channels []string) brokers.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ahead []brokers.Ahead
	for _, e := range r.outbox.entries {
		if e.delivered && slices.Contains(channels, e.Channel) {
			ahead = []brokers.Ahead{{Node: r.node, Number: e.Number}}
		}
	}
	return brokers.NewPosition(r.copy.epoch, r.copy.history.Last(channels), ahead)
}

// Events implements [brokers.Broker]. A client may come from a process that is
// ahead of this one by some milliseconds: then it waits for the rest.
func (r *replica) Events(ctx context.Context, channels []string, after brokers.Position, limit int) (missed []brokers.Event, complete bool, err error) {
	r.awaitLog(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.catchUp(ctx, after)
	if !known || err != nil {
		return nil, false, err
	}
	// One message more than wanted tells whether the log has all that is to come
	// before what waits for the server.
	missed, complete = r.copy.after(channels, after, max(limit, limit+1))
	for _, e := range r.outbox.entries {
		switch {
		case !e.delivered || !slices.Contains(channels, e.Channel) || after.Covers(e.event):
		case e.tried && after.Offset > r.copy.offset:
			// It may be in the log, behind what was read here, and the client may
			// have got it at another process.
			return nil, false, nil
		default:
			missed = append(missed, e.event)
		}
	}
	missed = firstMessages(missed, limit)
	r.copy.place(missed, after)
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

// after are the events of the log that a position does not cover, as
// [brokers.Broker] has them, but for their positions.
func (c *logCopy) after(channels []string, position brokers.Position, limit int) (missed []brokers.Event, complete bool) {
	var skip func(brokers.Event) bool
	if len(position.Ahead()) > 0 {
		skip = position.Covers
	}
	return c.history.After(channels, position.Offset, limit, skip)
}

// firstMessages is events up to the message that would be one more than limit.
func firstMessages(events []brokers.Event, limit int) []brokers.Event {
	for i, e := range events {
		if e.Message != nil {
			if limit--; limit < 0 {
				return events[:i]
			}
		}
	}
	return events
}

// place gives events that come after a position, in this order, their own: what
// that covers, and they.
func (c *logCopy) place(events []brokers.Event, after brokers.Position) {
	offset := after.Offset
	ahead := after.Ahead()
	for i := range events {
		e := &events[i]
		if e.Uncounted {
			at := slices.IndexFunc(ahead, func(a brokers.Ahead) bool { return a.Node == e.Node })
			if at < 0 {
				at = len(ahead)
				ahead = append(ahead, brokers.Ahead{Node: e.Node})
			}
			ahead[at].Number = e.Number
		} else {
			offset = e.Position.Offset
		}
		ahead = slices.DeleteFunc(ahead, func(a brokers.Ahead) bool { return c.outdated(a, offset) })
		e.Position = brokers.NewPosition(c.epoch, offset, ahead)
	}
}
