package asker

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
)

// attempt is one ask of a request that leads.
type attempt struct {
	asker  *Asker
	ctx    context.Context
	cancel func()
	ask    *coalesce.Leader // nil if nobody may join, or the ask has ended
	leads  *coalesce.Leader // the same, also after the end
	again  bool             // it is a replay

	unwatch      func() bool // stops watching for the client to leave
	unstopReplay func() bool // stops watching, for a replay, for the server to stop
	unstop       func() bool // stops watching, for an answer that streams, for the server to stop

	holding   bool // the waiter is held until the deadline
	unfit     bool // the answer cannot be an event
	long      bool // the answer declares a length that is too long to be judged
	inner     bool // a handler further in holds the request
	elsewhere bool // and another configuration serves it now

	slot      atomic.Bool // it counts against [Config.Asks]
	slow      delay.Entry // until the header of the answer arrives
	begun     atomic.Bool // the header has arrived
	freed     atomic.Bool // an event has ended a replay that hangs
	announced []string    // the channels that the answer names
}

// SlowAfter is how long an ask without the header of its answer keeps others from asking.
const SlowAfter = 5 * time.Second

// attemptContext is the context of an attempt. If the client leaves, the ask goes on as
// long as others wait for it.
type attemptContext struct {
	context.Context // the request's
	attempt         *attempt
}

type attemptKey struct{}

func (attemptContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (attemptContext) Done() <-chan struct{}       { return nil }
func (attemptContext) Err() error                  { return nil }

func (c attemptContext) Value(key any) any {
	if key == (attemptKey{}) {
		return c.attempt
	}
	return c.Context.Value(key)
}

// outerOf returns the attempt of a handler further out that has sent the request, or nil.
func outerOf(r *http.Request) *attempt {
	outer, _ := r.Context().Value(attemptKey{}).(*attempt)
	return outer
}

// IsAsk reports whether a handler further out, which may hold the request, has sent it.
func IsAsk(r *http.Request) bool { return outerOf(r) != nil }

// HeldFurtherOut reports whether a request is a replay of a handler further out, as after a
// reload that has put another handler in front: that handler goes on holding the request.
func HeldFurtherOut(r *http.Request) bool {
	outer := outerOf(r)
	return outer != nil && outer.again
}

func (a *Asker) newAttempt(again bool) *attempt {
	a.asked, a.askedAt = a.group, time.Now()
	t := &attempt{asker: a, again: again}
	t.ctx, t.cancel = context.WithCancel(attemptContext{a.HTTP.Context(), t})
	return t
}

// begin makes the attempt end early if the deadline passes or the client leaves.
func (t *attempt) begin() {
	a := t.asker
	if t.again {
		t.hold(a.replayUntil(), t.cancel)
		t.unstopReplay = context.AfterFunc(a.config.Hub.Stopping, t.endBeforeStop)
	}
	left := t.cancel
	if t.leads = t.ask; t.ask != nil {
		left = t.ask.LeaderLeft
	}
	t.unwatch = context.AfterFunc(a.HTTP.Context(), left)
}

// stopPatience is how long a stop of the server waits for the header of a replay.
const stopPatience = 2 * time.Second

// endBeforeStop cancels a replay that hangs while the server stops. Its request has an
// answer already.
func (t *attempt) endBeforeStop() {
	time.AfterFunc(stopPatience, func() {
		if !t.begun.Load() {
			t.cancel()
		}
	})
}

// count returns the counters for asks of the attempt's kind.
func (t *attempt) count() metrics.Asks {
	switch metrics := t.asker.config.Metrics; {
	case t.again && t.asker.space.Cause() == lot.Looked:
		return metrics.Look
	case t.again:
		return metrics.Replay
	default:
		return metrics.First
	}
}

// queue waits until [Config.Asks] allows one more ask. It returns false if the ask has
// ended before.
func (t *attempt) queue() bool {
	if t.asker.config.Asks.TryAcquire(1) || t.wait() {
		t.slot.Store(true)
		t.asker.config.Metrics.Running.Inc()
		return true
	}
	return t.ctx.Err() == nil
}

// wait waits for a slot until the ask is canceled. When its patience is over, a first ask
// goes to the backend without one: no request is refused.
func (t *attempt) wait() bool {
	a := t.asker
	a.config.Metrics.Queued.Inc()
	defer a.config.Metrics.Queued.Dec()
	a.Limits.Lift()
	if t.again {
		return a.config.Asks.Acquire(t.ctx, 1) == nil
	}
	ctx, stop := context.WithCancel(t.ctx)
	defer stop()
	t.hold(a.Patience, stop)
	defer t.unhold()
	return a.config.Asks.Acquire(ctx, 1) == nil
}

// answered ends the limits on the wait for the answer's header, which has arrived, or never
// will.
func (t *attempt) answered() {
	t.begun.Store(true)
	t.asker.config.Slow.End(&t.slow)
	t.release()
}

// Expired implements [delay.Owner]: the header of the answer should have arrived by now.
// The next ask in the queue gets the slot, and one more member of the call asks.
func (t *attempt) Expired() {
	t.release()
	if t.leads != nil {
		t.leads.Overdue()
	}
	if !t.again || t.begun.Load() {
		return
	}
	// A message is the answer of a poll whose replay hangs, and a stream sends the events
	// that follow its replay. After another wake-up the backend is asked once more: only
	// once, because it may always take this long.
	a := t.asker
	if a.behind.Load() || a.space.Waiter.HasMessage() || a.space.Waiter.Moved() && a.freed.CompareAndSwap(false, true) {
		t.freed.Store(true)
		t.cancel()
		return
	}
	a.config.Slow.Begin(&t.slow, t)
}

// release gives the slot to the next ask in the queue.
func (t *attempt) release() {
	if t.slot.Swap(false) {
		t.asker.config.Metrics.Running.Dec()
		t.asker.config.Asks.Release(1)
	}
}

// hold calls ended when a deadline passes.
func (t *attempt) hold(until time.Time, ended func()) {
	t.asker.space.Hold(until, ended)
	t.holding = true
}

// heed waits for a deadline or an event. It returns false if an event has come already.
func (t *attempt) heed(until time.Time) bool {
	t.holding = t.asker.space.Heed(until)
	return t.holding
}

func (t *attempt) unhold() {
	if t.holding {
		t.holding = false
		t.asker.space.Unhold()
	}
}

// finish ends the ask with what it has brought for others.
func (t *attempt) finish(r *coalesce.Result) {
	if t.ask != nil {
		t.ask.Finish(r)
		t.ask = nil
	}
}

// giveUp ends an ask that was canceled. If no other request leads, those that joined ask
// after a while.
func (t *attempt) giveUp(after time.Duration) {
	if t.ask != nil {
		t.ask.GiveUp(time.Now().Add(after))
		t.ask = nil
	}
}

// end ends all that the attempt has begun.
func (t *attempt) end() {
	defer t.cancel()
	t.unwatch()
	if t.unstopReplay != nil {
		t.unstopReplay()
	}
	if t.unstop != nil {
		t.unstop()
	}
	t.answered()
	t.unhold()
	t.finish(coalesce.Alone)
}
