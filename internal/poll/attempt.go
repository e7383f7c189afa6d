package poll

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/response"
)

// attempt is one ask of a poll that leads.
type attempt struct {
	poll   *Poll
	ctx    context.Context
	cancel func()
	ask    *coalesce.Leader // nil: nobody may join, or it has ended
	leads  *coalesce.Leader // the same, even when it has ended
	again  bool

	unwatch      func() bool // it is not told any more that the client leaves
	unstopReplay func() bool // nor, if it is a replay, that the server stops

	holding   bool // the waiter is held until the deadline
	unfit     bool // the answer cannot be an event
	long      bool // the answer says that it is too long to be looked at
	inner     bool // a handler further in holds the request
	elsewhere bool // and another configuration has it by now

	unstop    func() bool // an answer that streams is not told any more that the server stops
	slot      atomic.Bool // it has one of those that [Config.Asks] bounds
	slow      delay.Entry // until the answer's header is there
	begun     atomic.Bool // that is there
	freed     atomic.Bool // an event has ended a replay that hangs
	announced []string
}

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

// outerOf is the attempt that a request is on, of a handler further out, or nil.
func outerOf(r *http.Request) *attempt {
	outer, _ := r.Context().Value(attemptKey{}).(*attempt)
	return outer
}

// HeldFurtherOut reports whether a request is a replay of a handler further out, as after a
// reload that has put another handler in its way: that one goes on holding it.
func HeldFurtherOut(r *http.Request) bool {
	outer := outerOf(r)
	return outer != nil && outer.again
}

func (p *Poll) newAttempt(again bool) *attempt {
	p.asked, p.askedAt = p.group, time.Now()
	a := &attempt{poll: p, again: again}
	a.ctx, a.cancel = context.WithCancel(attemptContext{p.r.Context(), a})
	return a
}

// begin makes the attempt end early if the deadline passes or the client leaves.
func (a *attempt) begin() {
	p := a.poll
	if a.again {
		a.hold(p.replayUntil(), a.cancel)
		a.unstopReplay = context.AfterFunc(p.config.Stopping, a.endBeforeStop)
	}
	left := a.cancel
	if a.leads = a.ask; a.ask != nil {
		left = a.ask.LeaderLeft
	}
	a.unwatch = context.AfterFunc(p.r.Context(), left)
}

// stopPatience is how long a stop of the server waits for the header of a replay.
const stopPatience = 2 * time.Second

// endBeforeStop cancels a replay that hangs while the server stops: its poll has an answer
// already.
func (a *attempt) endBeforeStop() {
	time.AfterFunc(stopPatience, func() {
		if !a.begun.Load() {
			a.cancel()
		}
	})
}

// asks counts asks of the kind that the attempt is.
func (a *attempt) asks() metrics.Asks {
	switch metrics := a.poll.config.Metrics; {
	case a.again && a.poll.ended.Cause == lot.Looked:
		return metrics.Look
	case a.again:
		return metrics.Replay
	default:
		return metrics.First
	}
}

// queue waits for one of the slots that [Config.Asks] has. It reports whether the backend
// is to be asked: false means that the ask has ended before.
func (a *attempt) queue() bool {
	if a.poll.config.Asks.TryAcquire(1) || a.wait() {
		a.slot.Store(true)
		a.poll.config.Metrics.Running.Inc()
		return true
	}
	return a.ctx.Err() == nil
}

// wait waits for a slot until the ask is canceled. A first ask goes to the backend without
// one once its patience is over: no request is refused.
func (a *attempt) wait() bool {
	p := a.poll
	p.config.Metrics.Queued.Inc()
	defer p.config.Metrics.Queued.Dec()
	p.limits.Lift()
	if a.again {
		return p.config.Asks.Acquire(a.ctx, 1) == nil
	}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	a.hold(p.patience, stop)
	defer a.unhold()
	return p.config.Asks.Acquire(ctx, 1) == nil
}

// answered ends the limits on the wait for the answer's header: it has come, or will not.
func (a *attempt) answered() {
	a.begun.Store(true)
	a.poll.config.Slow.End(&a.slow)
	a.release()
}

// Expired implements [delay.Owner]: the backend should have begun to answer by now. The
// slot goes to the next ask in the queue, and one more member of the call asks.
func (a *attempt) Expired() {
	a.release()
	if a.leads != nil {
		a.leads.Overdue()
	}
	if !a.again || a.begun.Load() {
		return
	}
	// A message is the answer of a poll whose replay hangs, and a stream gives what comes
	// behind its replay. Another wake-up has the backend asked once more: once, as it may
	// be as slow as that.
	if p := a.poll; p.behind.Load() || p.waiter.HasMessage() || p.waiter.Moved() && p.freed.CompareAndSwap(false, true) {
		a.freed.Store(true)
		a.cancel()
		return
	}
	a.poll.config.Slow.Begin(&a.slow, a)
}

// release gives the slot to the next ask in the queue.
func (a *attempt) release() {
	if a.slot.Swap(false) {
		a.poll.config.Metrics.Running.Dec()
		a.poll.config.Asks.Release(1)
	}
}

// hold makes the waiter call ended when a deadline passes.
func (a *attempt) hold(until time.Time, ended func()) {
	a.poll.hold(until, ended)
	a.holding = true
}

// heed makes the waiter report a deadline, and an event. It reports whether no event has
// come yet.
func (a *attempt) heed(until time.Time) bool {
	a.poll.readyOutcomes()
	a.holding = a.poll.waiter.Heed(until, a.poll.outcome)
	return a.holding
}

func (a *attempt) unhold() {
	if a.holding {
		a.holding = false
		a.poll.unhold()
	}
}

// end leaves nothing of the attempt behind.
func (a *attempt) end() {
	defer a.cancel()
	a.unwatch()
	if a.unstopReplay != nil {
		a.unstopReplay()
	}
	if a.unstop != nil {
		a.unstop()
	}
	a.answered()
	a.unhold()
	a.finish(coalesce.Alone)
}

// Patience implements [ask.Observer].
func (a *attempt) Patience() ask.Patience { return a.poll.patienceFor() }

// Header implements [ask.Observer].
func (a *attempt) Header(_ int, header http.Header) {
	a.answered()
	if channels, ok := response.TakeChannels(header); ok {
		a.announced = channels
	}
}

// Keep implements [ask.Observer]: also an answer that is news is kept whole if
// others wait for it.
func (a *attempt) Keep(status int, header http.Header, start []byte) bool {
	if a.inner {
		return false
	}
	if a.cut(status, header) {
		return true
	}
	if a.poll.streams {
		return !eventstream.Is(header)
	}
	if a.again && unavailable(status) || a.poll.config.Rules.Possible(status, header, start) || a.ask != nil && !a.ask.Alone() {
		return true
	}
	a.poll.looked(status, header, start)
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	a.long = err == nil && length > a.poll.config.MaxBody
	return false
}

// cut reports whether reverse_proxy answers for a client that has left, though nobody
// has ended the ask. A connection to a backend that has just carried an answer without
// a body may still be closed by the client of that answer when it leaves, and so end
// the request that has come after (seen with net/http of Go 1.26).
func (a *attempt) cut(status int, header http.Header) bool {
	return caddyinternals.Canceled(status, header) && a.ctx.Err() == nil
}

// wasCut reports whether that is what came of the ask.
func (a *attempt) wasCut(r *ask.Result) bool {
	if r.Answer != nil {
		return a.cut(r.Answer.Status, r.Answer.Header)
	}
	var handlerErr caddyhttp.HandlerError
	return errors.As(r.Err, &handlerErr) && a.cut(handlerErr.StatusCode, nil)
}

// overlap leaves the request to a handler further in that holds it: this one lets the
// answer pass.
func (a *attempt) overlap() {
	a.inner = true
	a.poll.overlapped = true
	a.answered()
	a.unhold()
	a.finish(coalesce.Alone)
}

// Stream implements [ask.Observer]: an answer that streams is this poll's own, and
// ends it.
func (a *attempt) Stream(status int, why ask.Reason) bool {
	p := a.poll
	if a.inner {
		return !a.elsewhere
	}
	if a.ctx.Err() != nil {
		return false // reverse_proxy answers what was cancelled, with 499
	}
	if a.again && unavailable(status) {
		return false
	}
	if a.again && p.streams {
		a.unfit = true
		a.cancel() // it might never end
		return false
	}
	if a.holding {
		if !p.waiter.Leave() {
			return false
		}
		a.holding = false
	}
	if a.ask != nil && !a.ask.Finish(coalesce.Alone) && a.leads.Served() != nil {
		a.cancel() // another's answer has come first
		return false
	}
	a.ask = nil
	p.wakeOthers()
	p.report.Detail = a.detail(status, why)
	p.debugNotHeld(status)
	if !admits(status) {
		p.deny()
	}
	return true
}

// detail is why an answer that streams has its poll not held.
func (a *attempt) detail(status int, why ask.Reason) answer.Detail {
	switch {
	case !admits(status):
		return answer.Status
	case a.long || why == ask.TooLong:
		return answer.Length
	case why == ask.TooSlow:
		return answer.Slow
	}
	return answer.News
}

// Attend implements [ask.Observer].
func (a *attempt) Attend(client http.ResponseWriter, status int) *response.Live {
	p := a.poll
	if a.inner {
		return nil // the handler further in sees to it
	}
	p.finish(client.Header())
	writer := response.Attend(client, p.r, &p.limits, status, p.config.Streams.heartbeat())
	if writer != nil {
		a.unstop = context.AfterFunc(p.config.Stopping, func() { writer.Stop(a.cancel) })
	}
	return writer
}

// finish ends the ask with what it brought for others.
func (a *attempt) finish(r *coalesce.Result) {
	if a.ask != nil {
		a.ask.Finish(r)
		a.ask = nil
	}
}

// giveUp ends an ask that was canceled. If no other leader is left, the members that
// joined ask after a while.
func (a *attempt) giveUp(after time.Duration) {
	if a.ask != nil {
		a.ask.GiveUp(time.Now().Add(after))
		a.ask = nil
	}
}
