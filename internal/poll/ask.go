package poll

import (
	"time"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
)

// Reply is what came of an ask.
type Reply struct {
	Kind Kind

	// Answer is the backend's, to be given to the client; where Kind is Broken or
	// Failed, as far as it came.
	Answer *ask.Answer

	// Err is the handlers' error, where Kind is Failed.
	Err error
}

// Kind says what is to be done about a [Reply].
type Kind uint8

const (
	NothingNew Kind = iota + 1 // the poll may be parked
	Refused                    // a replay failed: the poll stays parked and tries again
	News                       // the client gets the answer
	Streamed                   // the client has got it
	Failed                     // the handlers' error is passed on
	Broken                     // the answer broke off, and so does the client's
	Unfit                      // the answer cannot be an event on a stream
	TimedOut                   // the deadline passed meanwhile
	Left                       // the client left meanwhile
	anew                       // another's answer came first, which does not suit: the poll is to ask again
)

// String implements [fmt.Stringer].
func (k Kind) String() string {
	return [...]string{
		NothingNew: "nothing new", Refused: "refused", News: "news", Streamed: "news, streamed", Failed: "failed", Broken: "broke off",
		Unfit: "unfit for a stream", TimedOut: "timeout", Left: "left", anew: "anew",
	}[k]
}

// Failed replays are tried again after a back-off that doubles from the first to
// the last of these, and is shortened at random by up to a half.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// mostCuts is how often an ask is repeated at once that another's client has cut.
const mostCuts = 3

// First asks the backend for the first time, or shares an ask that is in flight. A
// poll that waits for messages alone asks only if it must begin anew.
func (p *Poll) First() Reply {
	if p.messagesOnly() && !p.lostPosition() {
		return Reply{Kind: NothingNew}
	}
	again := p.continues && !p.messagesOnly()
	return p.orAnything(p.ask(again), again)
}

// Again asks it again, once for all that were released together and would get
// the same answer. A replay that fails is not the end of the poll.
func (p *Poll) Again() Reply {
	reply := p.orAnything(p.ask(true), true)
	p.debugReplayed(reply)
	return reply
}

// ask asks the backend, or has what another's ask brings. From here to the attempt, frames
// are kept small: a goroutine's stack doubles where a route is a little too deep for it,
// and stays so as long as the poll is parked.
func (p *Poll) ask(again bool) Reply {
	for {
		a := p.newAttempt(again)
		if reply, ok := p.join(a); ok {
			a.cancel()
			return reply
		}
		if reply := p.lead(a); reply.Kind != anew {
			return reply
		}
	}
}

// join has the poll share what others ask, or have asked. It is not ok where the poll
// has to ask itself.
func (p *Poll) join(a *attempt) (reply Reply, ok bool) {
	for {
		p.waiter.Note()
		join, ready, lead := p.group.JoinOrLead(a.again, a.cancel)
		if lead != nil {
			a.ask = lead
			return Reply{}, false
		}
		if join != nil {
			if reply = p.await(join, a); reply.Kind != 0 || a.ask != nil {
				return reply, a.ask == nil
			}
			ready = join.Result()
			if !a.again && ready.Answer == nil && !ready.Retry.IsZero() {
				continue // it was given up, or a replay that failed: no answer to a first ask
			}
		}
		if ready.Matches(p.request.Field) {
			return p.shared(ready, a)
		}
		p.regroup(ready.Varies)
	}
}

// await waits for a call's end, for which the reply has no kind. A replay's deadline
// may come first, and the client may leave. If the backend does not answer, the poll may
// be the next to ask it: then a has the ask.
func (p *Poll) await(join *coalesce.Call, a *attempt) Reply {
	p.limits.Lift()
	until := time.Now().Add(forever)
	if a.again {
		until = p.replayUntil()
	}
	defer a.unhold()
	var heard time.Time // of an event; zero: none
	for free := !a.heed(until); ; {
		if free {
			if heard.IsZero() {
				heard = time.Now()
			}
			if reply := p.hears(join, a, heard, until); reply.Kind != 0 || a.ask != nil {
				return reply
			}
		}
		select {
		case <-join.Done():
			return Reply{}
		case <-p.r.Context().Done():
			join.JoinerLeft()
			return Reply{Kind: Left}
		case <-join.More():
			if a.ask = join.Lead(a.cancel); a.ask != nil {
				return Reply{}
			}
			free = false
		case o := <-p.outcomes:
			a.holding = false
			if free = o.Cause == lot.Published || time.Now().Before(until); !free {
				join.JoinerLeft()
				return Reply{Kind: TimedOut}
			}
		}
	}
}

// hears has an event free a poll that waits for another's ask, as it would free one that
// is parked: it has a message for answer, or asks itself if the backend is slow. Else it
// waits on.
func (p *Poll) hears(join *coalesce.Call, a *attempt, heard, until time.Time) Reply {
	if a.again && p.kept != nil && p.waiter.HasMessage() && (!p.streams || join.Slow()) {
		join.JoinerLeft()
		if p.streams {
			return p.refused(time.Time{}) // the replay is made up for later
		}
		return Reply{Kind: NothingNew}
	}
	ask, wait := join.LeadOnEvent(heard, a.cancel)
	if a.ask = ask; ask == nil {
		if wait > 0 {
			until = earlier(until, time.Now().Add(wait))
		}
		a.hold(until, func() {})
	}
	return Reply{}
}

// shared makes the result of another's ask the poll's own. It is not ok where there is
// none for others.
func (p *Poll) shared(r *coalesce.Result, a *attempt) (reply Reply, ok bool) {
	failed := !r.Retry.IsZero() || refused(r.Err)
	switch {
	case a.again && failed:
		return p.refused(r.Retry), true
	case r.Err != nil:
		return Reply{Kind: Failed, Answer: r.Answer, Err: r.Err}, true
	case r.Answer == nil:
		return Reply{}, false
	}
	if r.Personal {
		p.warnOfPersonal()
	}
	a.asks().Shared.Inc()
	return p.took(r.Answer, r.NothingNew), true
}

// lead asks the backend.
func (p *Poll) lead(a *attempt) Reply {
	defer a.end() // also where the route panics
	a.begin()
	return p.conclude(a, p.pass(a))
}

// pass sends the request, whenever there is a place for it at the backend.
func (p *Poll) pass(a *attempt) (result ask.Result) {
	for cuts := 0; a.queue(); cuts++ {
		a.asks().Sent.Inc()
		p.passes++
		a.begun.Store(false)
		p.config.Slow.Begin(&a.slow, a)
		result = p.request.Send(a.ctx, p.client, p.next, a)
		a.answered()
		if cuts == mostCuts || a.inner || !a.wasCut(&result) {
			break
		}
	}
	return result
}

// conclude ends an ask, for the poll and for all that joined it.
func (p *Poll) conclude(a *attempt, result ask.Result) Reply {
	a.unhold()
	if a.inner {
		if result.Prepared != nil {
			result.Prepared.Apply(p.client.Header())
		}
		return Reply{Kind: Streamed, Err: result.Err}
	}
	if reply, ok := p.overtaken(a, result); ok {
		return reply
	}
	if a.freed.Load() && !result.Streamed && p.r.Context().Err() == nil {
		a.giveUp(0)
		return p.refused(time.Now())
	}
	reply, finished := p.judge(result, a)
	if reply.Kind == Refused {
		p.config.Metrics.FailedReplays.Inc()
	}
	p.announce(a, reply.Kind)
	if finished == nil {
		a.giveUp(p.backoff())
	}
	a.finish(finished)
	if reply.Kind == News {
		p.wakeOthers()
	}
	if reply.Kind != Streamed && p.r.Context().Err() != nil {
		reply.Kind = Left
	}
	return reply
}

// overtaken has the poll take what another ask of its call has brought, if its own was
// cancelled for that.
func (p *Poll) overtaken(a *attempt, result ask.Result) (reply Reply, ok bool) {
	if a.leads == nil || a.ctx.Err() == nil || result.Streamed || p.r.Context().Err() != nil {
		return Reply{}, false
	}
	served := a.leads.Served()
	if served == nil {
		return Reply{}, false
	}
	a.giveUp(0)
	if !served.Matches(p.request.Field) {
		p.regroup(served.Varies)
		return Reply{Kind: anew}, true
	}
	return p.shared(served, a)
}
