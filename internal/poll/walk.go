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
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/response"
)

// walk is one ask of a poll that leads.
type walk struct {
	poll   *Poll
	ctx    context.Context
	cancel func()
	ask    *coalesce.Ask // nil: nobody may join, or it has ended
	leads  *coalesce.Ask // the same, even when it has ended
	again  bool

	unwatch func() bool // it is not told any more that the client leaves

	holding   bool // the waiter is held until the deadline
	unfit     bool // the answer cannot be an event
	long      bool // the answer says that it is too long to be looked at
	inner     bool // a handler further in holds the request
	elsewhere bool // and another configuration has it by now

	unstop    func() bool // an answer that streams is not told any more that the server stops
	place     atomic.Bool // it has one at the backend
	slow      delay.Entry // until the answer's header is there
	begun     atomic.Bool // that is there
	freed     atomic.Bool // an event has ended a replay that hangs
	announced []string
}

// walkContext is the context of a walk. The client's leaving ends the ask only where
// nobody else waits for it.
type walkContext struct {
	context.Context // the request's
	walk            *walk
}

type walkKey struct{}

func (walkContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (walkContext) Done() <-chan struct{}       { return nil }
func (walkContext) Err() error                  { return nil }

func (c walkContext) Value(key any) any {
	if key == (walkKey{}) {
		return c.walk
	}
	return c.Context.Value(key)
}

// outerOf is the walk that a request is on, of a handler further out, or nil.
func outerOf(r *http.Request) *walk {
	outer, _ := r.Context().Value(walkKey{}).(*walk)
	return outer
}

// HeldFurtherOut reports whether a request is a replay of a handler further out, as after a
// reload that has put another handler in its way: that one goes on holding it.
func HeldFurtherOut(r *http.Request) bool {
	outer := outerOf(r)
	return outer != nil && outer.again
}

func (p *Poll) newWalk(again bool) *walk {
	p.asked, p.askedAt = p.group, time.Now()
	w := &walk{poll: p, again: again}
	w.ctx, w.cancel = context.WithCancel(walkContext{p.r.Context(), w})
	return w
}

// begin has the walk end early where the deadline passes or the client leaves.
func (w *walk) begin() {
	p := w.poll
	if w.again {
		w.hold(p.replayUntil(), w.cancel)
	}
	left := w.cancel
	if w.leads = w.ask; w.ask != nil {
		left = w.ask.LeaderLeft
	}
	w.unwatch = context.AfterFunc(p.r.Context(), left)
}

// asks counts asks of the kind that the walk is.
func (w *walk) asks() metrics.Asks {
	switch metrics := w.poll.line.Metrics; {
	case w.again && w.poll.ended.Cause == lot.Looked:
		return metrics.Look
	case w.again:
		return metrics.Replay
	default:
		return metrics.First
	}
}

// queue waits for a place at the backend. It fails when the ask ends before.
func (w *walk) queue() bool {
	if w.poll.line.Asks.TryAcquire(1) || w.wait() {
		w.place.Store(true)
		w.poll.line.Metrics.Running.Inc()
		return true
	}
	return w.ctx.Err() == nil
}

// wait waits for one until the ask is ended. A first ask does so for as long as its
// patience lasts, and goes to the backend without a place then: nobody is refused.
func (w *walk) wait() bool {
	p := w.poll
	p.line.Metrics.Queued.Inc()
	defer p.line.Metrics.Queued.Dec()
	p.limits.Lift()
	if w.again {
		return p.line.Asks.Acquire(w.ctx, 1) == nil
	}
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	w.hold(p.patience, stop)
	defer w.unhold()
	return p.line.Asks.Acquire(ctx, 1) == nil
}

// answered is called when the answer's header is there, or there will be none: what
// bounds the wait for it is over.
func (w *walk) answered() {
	w.begun.Store(true)
	w.poll.line.Slow.End(&w.slow)
	w.release()
}

// Expired implements [delay.Owner]: the backend should have begun to answer by now. The
// next in the queue has its turn, and one more of the flight asks.
func (w *walk) Expired() {
	w.release()
	if w.leads != nil {
		w.leads.Overdue()
	}
	if !w.again || w.begun.Load() {
		return
	}
	// A message is the answer of a poll whose replay hangs, and a stream gives what comes
	// behind its replay. Another wake-up has the backend asked once more: once, as it may
	// be as slow as that.
	if p := w.poll; p.behind.Load() || p.waiter.HasMessage() || p.waiter.Moved() && p.freed.CompareAndSwap(false, true) {
		w.freed.Store(true)
		w.cancel()
		return
	}
	w.poll.line.Slow.Begin(&w.slow, w)
}

// release gives the place at the backend to the next in the queue.
func (w *walk) release() {
	if w.place.Swap(false) {
		w.poll.line.Metrics.Running.Dec()
		w.poll.line.Asks.Release(1)
	}
}

// hold has the waiter call ended when a deadline passes.
func (w *walk) hold(until time.Time, ended func()) {
	w.poll.hold(until, ended)
	w.holding = true
}

// heed has the waiter tell of a deadline, and of an event. It reports whether none has
// come yet.
func (w *walk) heed(until time.Time) bool {
	w.poll.readyOutcomes()
	w.holding = w.poll.waiter.Heed(until, w.poll.outcome)
	return w.holding
}

func (w *walk) unhold() {
	if w.holding {
		w.holding = false
		w.poll.unhold()
	}
}

// end leaves nothing of the walk behind.
func (w *walk) end() {
	defer w.cancel()
	w.unwatch()
	if w.unstop != nil {
		w.unstop()
	}
	w.answered()
	w.unhold()
	w.land(coalesce.Alone)
}

// Patience implements [ask.Walk].
func (w *walk) Patience() ask.Patience { return w.poll.patienceFor() }

// Header implements [ask.Walk].
func (w *walk) Header(_ int, header http.Header) {
	w.answered()
	if lines, ok := header[http.CanonicalHeaderKey(answer.Publish)]; ok {
		w.announced = field.List(lines)
		header.Del(answer.Publish)
	}
}

// Keep implements [ask.Walk]: also an answer that is news is kept whole if
// others wait for it.
func (w *walk) Keep(status int, header http.Header, start []byte) bool {
	if w.inner {
		return false
	}
	if w.cut(status, header) {
		return true
	}
	if w.poll.streams {
		return !nothingnew.IsEventStream(header)
	}
	if w.again && unavailable(status) || w.poll.line.Rules.Possible(status, header, start) || w.ask != nil && !w.ask.Alone() {
		return true
	}
	w.poll.looked(status, header, start)
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	w.long = err == nil && length > w.poll.line.MaxBody
	return false
}

// cut reports whether reverse_proxy answers for a client that has left, though nobody
// has ended the ask. A connection to a backend that has just carried an answer without
// a body may still be closed by the client of that answer when it leaves, and so end
// the request that has come after (seen with net/http of Go 1.26).
func (w *walk) cut(status int, header http.Header) bool {
	return status == answer.StatusClientClosed && len(header["Via"]) == 0 && w.ctx.Err() == nil
}

// wasCut reports whether that is what came of the ask.
func (w *walk) wasCut(r *ask.Result) bool {
	if r.Answer != nil {
		return w.cut(r.Answer.Status, r.Answer.Header)
	}
	var handlerErr caddyhttp.HandlerError
	return errors.As(r.Err, &handlerErr) && w.cut(handlerErr.StatusCode, nil)
}

// overlap has a handler further in hold the request: this one lets its answer pass.
func (w *walk) overlap() {
	w.inner = true
	w.poll.overlapped = true
	w.answered()
	w.unhold()
	w.land(coalesce.Alone)
}

// Stream implements [ask.Walk]: an answer that streams is this poll's own, and
// ends it.
func (w *walk) Stream(status int, why ask.Reason) bool {
	p := w.poll
	if w.inner {
		return !w.elsewhere
	}
	if w.ctx.Err() != nil {
		return false // reverse_proxy answers what was cancelled, with 499
	}
	if w.again && unavailable(status) {
		return false
	}
	if w.again && p.streams {
		w.unfit = true
		w.cancel() // it might never end
		return false
	}
	if w.holding {
		if !p.waiter.Leave() {
			return false
		}
		w.holding = false
	}
	if w.ask != nil && !w.ask.Land(coalesce.Alone) && w.leads.Served() != nil {
		w.cancel() // another's answer has come first
		return false
	}
	w.ask = nil
	p.wakeOthers()
	p.stamp.Detail = w.detail(status, why)
	p.debugNotHeld(status)
	if !admits(status) {
		p.deny()
	}
	return true
}

// detail is why an answer that streams has its poll not held.
func (w *walk) detail(status int, why ask.Reason) answer.Detail {
	switch {
	case !admits(status):
		return answer.Status
	case w.long || why == ask.TooLong:
		return answer.Length
	case why == ask.TooSlow:
		return answer.Slow
	}
	return answer.News
}

// Attend implements [ask.Walk].
func (w *walk) Attend(client http.ResponseWriter, status int) *response.Writer {
	p := w.poll
	if w.inner {
		return nil // the handler further in sees to it
	}
	p.finish(client.Header())
	writer := response.Attend(client, p.r, &p.limits, status, p.line.Streams.heartbeat())
	if writer != nil {
		w.unstop = context.AfterFunc(p.line.Stopping, func() { writer.Stop(w.cancel) })
	}
	return writer
}

// land ends the ask with what it brought for others.
func (w *walk) land(r *coalesce.Result) {
	if w.ask != nil {
		w.ask.Land(r)
		w.ask = nil
	}
}

// giveUp ends an ask that was cancelled. If nobody else asks for others that joined, they
// do so themselves after a while.
func (w *walk) giveUp(after time.Duration) {
	if w.ask != nil {
		w.ask.GiveUp(time.Now().Add(after))
		w.ask = nil
	}
}
