package poll

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/passing"
	"github.com/caddy-parker/parker/internal/share"
)

// walk is one ask of a poll that leads.
type walk struct {
	poll   *Poll
	ctx    context.Context
	cancel func()
	flight *share.Flight // nil: nobody may join, or it has landed
	again  bool

	unwatch func() bool // it is not told any more that the client leaves

	holding bool // the waiter is held until the deadline
	unfit   bool // the answer cannot be an event

	unstop    func() bool // an answer that streams is not told any more that the server stops
	place     bool        // it has one at the backend
	announced []string
}

func (p *Poll) newWalk(again bool) *walk {
	// The client's leaving ends the ask only where nobody else waits for it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.r.Context()))
	return &walk{poll: p, ctx: ctx, cancel: cancel, again: again}
}

// begin has the walk end early where the deadline passes or the client leaves.
func (w *walk) begin() {
	p := w.poll
	if w.again {
		p.hold(p.replayUntil(), w.cancel)
		w.holding = true
	}
	left := w.cancel
	if w.flight != nil {
		left = w.flight.LeaderLeft
	}
	w.unwatch = context.AfterFunc(p.r.Context(), left)
}

// asks counts asks of the kind that the walk is.
func (w *walk) asks() metrics.Asks {
	if w.again {
		return w.poll.line.Metrics.Replay
	}
	return w.poll.line.Metrics.First
}

// queue waits for a place at the backend. It fails when the ask ends before.
func (w *walk) queue() bool {
	if !w.poll.line.Asks.TryAcquire(1) && !w.wait() {
		return false
	}
	w.place = true
	w.poll.line.Metrics.Running.Inc()
	return true
}

// wait waits for one until the ask is ended, or a first ask's patience.
func (w *walk) wait() bool {
	p := w.poll
	p.line.Metrics.Queued.Inc()
	defer p.line.Metrics.Queued.Dec()
	p.limits.Lift()
	if !w.again {
		p.hold(p.patience, w.cancel)
	}
	got := p.line.Asks.Acquire(w.ctx, 1) == nil
	if w.again {
		return got
	}
	if _, inTime := p.unhold(); got && !inTime {
		p.line.Asks.Release(1)
		got = false
		w.cancel() // if that is not done yet
	}
	return got
}

// release gives the place at the backend to the next in the queue.
func (w *walk) release() {
	if w.place {
		w.place = false
		w.poll.line.Metrics.Running.Dec()
		w.poll.line.Asks.Release(1)
	}
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
	w.release()
	w.unhold()
	w.land(share.Alone)
}

// Patience implements [backend.Walk].
func (w *walk) Patience() backend.Patience { return w.poll.patienceFor() }

// Header implements [backend.Walk].
func (w *walk) Header(_ int, header http.Header) {
	w.release()
	if lines, ok := header[http.CanonicalHeaderKey(answer.Publish)]; ok {
		w.announced = field.List(lines)
		header.Del(answer.Publish)
	}
}

// Keep implements [backend.Walk]: also an answer that is news is kept whole if
// others wait for it.
func (w *walk) Keep(status int, header http.Header, start []byte) bool {
	if w.cut(status, header) {
		return true
	}
	if w.poll.streams {
		return !nothingnew.IsEventStream(header)
	}
	return w.again && unavailable(status) ||
		w.poll.line.Rules.Possible(status, header, start) ||
		w.flight != nil && !w.flight.Alone()
}

// cut tells whether reverse_proxy answers for a client that has left, though nobody
// has ended the ask. A connection to a backend that has just carried an answer without
// a body may still be closed by the client of that answer when it leaves, and so end
// the request that has come after (seen with net/http of Go 1.26).
func (w *walk) cut(status int, header http.Header) bool {
	return status == answer.StatusClientClosed && len(header["Via"]) == 0 && w.ctx.Err() == nil
}

// wasCut tells whether that is what came of the ask.
func (w *walk) wasCut(r *backend.Result) bool {
	if r.Answer != nil {
		return w.cut(r.Answer.Status, r.Answer.Header)
	}
	var handlerErr caddyhttp.HandlerError
	return errors.As(r.Err, &handlerErr) && w.cut(handlerErr.StatusCode, nil)
}

// Stream implements [backend.Walk]: an answer that streams is this poll's own, and
// ends it.
func (w *walk) Stream(status int) bool {
	p := w.poll
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
	w.land(share.Alone)
	w.wakeOthers()
	if !admits(status) {
		p.deny()
	}
	return true
}

// Attend implements [backend.Walk].
func (w *walk) Attend(client http.ResponseWriter, status int) *passing.Writer {
	p := w.poll
	p.finish(client.Header())
	writer := passing.Attend(client, p.r, &p.limits, status, p.line.Streams.heartbeat())
	if writer != nil {
		w.unstop = context.AfterFunc(p.line.Stopping, func() { writer.Stop(w.cancel) })
	}
	return writer
}

// wakeOthers lets those know who are parked with this poll that its turn at
// watching the backend brought news.
func (w *walk) wakeOthers() {
	if w.poll.stamp.Release == answer.Watch {
		w.poll.group.WakeAll()
	}
}

func (w *walk) land(r *share.Result) {
	if w.flight != nil {
		w.flight.Land(r)
		w.flight = nil
	}
}
