package asker

import (
	"time"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
)

// maxCuts is how often an ask is repeated at once because another client has cut it off.
const maxCuts = 3

// First asks the backend for the first time, or shares an ask that is in flight.
func (a *Asker) First() Reply { return a.ask(false) }

// Again asks the backend again, once for all requests that were released together and
// would get the same answer. If a replay fails, the request stays parked.
func (a *Asker) Again() Reply { return a.ask(true) }

// ask asks the backend, or takes what another's ask brings. From here to the attempt,
// stack frames are kept small: a goroutine's stack doubles when a route is a little too
// deep for it, and does not shrink while its request is parked.
func (a *Asker) ask(again bool) Reply {
	for {
		t := a.newAttempt(again)
		if reply, ok := a.join(t); ok {
			t.cancel()
			return reply
		}
		if reply := a.lead(t); reply.Kind != retryNow {
			return reply
		}
	}
}

// join makes the request share what others ask, or have asked. ok is false if it must ask
// itself.
func (a *Asker) join(t *attempt) (reply Reply, ok bool) {
	for {
		a.space.Waiter.Note()
		join, ready, lead := a.group.JoinOrLead(t.again, a.Memory.Loaded(), t.cancel)
		if lead != nil {
			t.ask = lead
			return Reply{}, false
		}
		if join != nil {
			if reply = a.await(join, t); reply.Kind != 0 || t.ask != nil {
				return reply, t.ask == nil
			}
			ready = join.Result()
			if !t.again && ready.Answer == nil && !ready.Retry.IsZero() {
				continue // it was given up, or it is a replay that failed: no answer to a first ask
			}
		}
		if own, ok := a.own(ready); ok {
			return a.shared(own, t)
		}
		a.separate(ready)
	}
}

// forever is the wait for something that has no deadline.
const forever = 100 * 365 * 24 * time.Hour

// await waits for the end of another's call. Then the reply has no kind. A replay's
// deadline may come first, and the client may leave. If the backend does not answer, the
// request may be the next one to ask: then t.ask is set.
func (a *Asker) await(join *coalesce.Call, t *attempt) Reply {
	a.config.Metrics.Joined.Inc()
	defer a.config.Metrics.Joined.Dec()
	a.Limits.Lift()
	until := time.Now().Add(forever)
	if t.again {
		until = a.replayUntil()
	}
	defer t.unhold()
	var heard time.Time // when an event came; zero: none
	for free := !t.heed(until); ; {
		if free {
			if heard.IsZero() {
				heard = time.Now()
			}
			if reply := a.hears(join, t, heard, until); reply.Kind != 0 || t.ask != nil {
				return reply
			}
		}
		select {
		case <-join.Done():
			return Reply{}
		case <-a.HTTP.Context().Done():
			join.JoinerLeft()
			return Reply{Kind: Left}
		case <-join.More():
			if t.ask = join.Lead(t.cancel); t.ask != nil {
				return Reply{}
			}
			free = false
		case o := <-a.space.Outcomes():
			t.holding = false
			if free = o.Cause == lot.Published || time.Now().Before(until); !free {
				join.JoinerLeft()
				return Reply{Kind: TimedOut}
			}
		}
	}
}

// hears handles an event that comes while the request waits for another's ask, as it would
// while it is parked: a message is the answer, and if the backend is slow, the request
// asks itself. Otherwise it waits on.
func (a *Asker) hears(join *coalesce.Call, t *attempt, heard, until time.Time) Reply {
	if t.again && a.Kept != nil && a.space.Waiter.HasMessage() && (!a.Streams || join.Slow()) {
		join.JoinerLeft()
		if a.Streams {
			return a.Refuse() // the replay is made up for later
		}
		return Reply{Kind: NothingNew}
	}
	ask, wait := join.LeadOnEvent(heard, t.cancel)
	if t.ask = ask; ask == nil {
		if retry := time.Now().Add(wait); wait > 0 && retry.Before(until) {
			until = retry
		}
		t.hold(until, func() {})
	}
	return Reply{}
}

// shared makes the result of another's ask the request's own. ok is false if it has none
// for others.
func (a *Asker) shared(r *coalesce.Result, t *attempt) (reply Reply, ok bool) {
	switch {
	case t.again && !r.Retry.IsZero():
		return a.refuse(r.Retry), true
	case t.again && isUnavailableError(r.Err):
		return a.Refuse(), true
	case r.Err != nil:
		return Reply{Kind: Failed, Answer: r.Answer, Err: r.Err}, true
	case r.Answer == nil:
		return Reply{}, false
	}
	if r.Personal {
		a.warnOfPersonal()
	}
	t.count().Shared.Inc()
	return a.took(r.Answer, r.NothingNew), true
}

// lead asks the backend.
func (a *Asker) lead(t *attempt) Reply {
	defer t.end() // also if the route panics
	t.begin()
	return a.conclude(t, a.send(t))
}

// send sends the request as soon as the limit on asks allows it.
func (a *Asker) send(t *attempt) (result ask.Result) {
	for cuts := 0; t.queue(); cuts++ {
		t.count().Sent.Inc()
		a.Asks++
		t.begun.Store(false)
		a.config.Slow.Begin(&t.slow, t)
		result = a.Request.Send(t.ctx, a.Writer, a.Next, t)
		t.answered()
		if cuts == maxCuts || t.inner || !t.wasCut(&result) {
			break
		}
	}
	return result
}

// conclude ends an ask, for the request and for all that have joined it.
func (a *Asker) conclude(t *attempt, result ask.Result) Reply {
	t.unhold()
	if t.inner {
		if result.Prepared != nil {
			result.Prepared.Apply(a.Writer.Header())
		}
		return Reply{Kind: Streamed, Err: result.Err}
	}
	if reply, ok := a.overtaken(t, result); ok {
		return reply
	}
	if t.freed.Load() && !result.Streamed && !a.ClientLeft() {
		t.giveUp(0)
		return a.refuse(time.Now())
	}
	reply, finished := a.judge(result, t)
	if reply.Kind == Refused {
		a.config.Metrics.FailedReplays.Inc()
	}
	a.announce(t, reply.Kind)
	if finished == nil {
		t.giveUp(Backoff(a.failures))
	}
	t.finish(finished)
	if reply.Kind == News {
		a.wakeOthers()
	}
	if reply.Kind != Streamed && a.ClientLeft() {
		reply.Kind = Left
	}
	return reply
}

// overtaken returns what another ask of the same call has brought, if the request's own
// ask was canceled for that.
func (a *Asker) overtaken(t *attempt, result ask.Result) (reply Reply, ok bool) {
	if t.leads == nil || t.ctx.Err() == nil || result.Streamed || a.ClientLeft() {
		return Reply{}, false
	}
	served := t.leads.Served()
	if served == nil {
		return Reply{}, false
	}
	t.giveUp(0)
	own, ok := a.own(served)
	if !ok {
		a.separate(served)
		return Reply{Kind: retryNow}, true
	}
	return a.shared(own, t)
}
