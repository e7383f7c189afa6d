package poll

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/share"
)

// Reply is what came of an ask.
type Reply struct {
	Kind Kind

	// Answer is the backend's, to be given to the client; where Kind is Broken or
	// Failed, as far as it came.
	Answer *backend.Answer

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

// ask asks the backend, or has what another's ask brings. From here to the walk, frames
// are kept small: a goroutine's stack doubles where a route is a little too deep for it,
// and stays so as long as the poll is parked.
func (p *Poll) ask(again bool) Reply {
	for {
		w := p.newWalk(again)
		if reply, ok := p.join(w); ok {
			w.cancel()
			return reply
		}
		if reply := p.lead(w); reply.Kind != anew {
			return reply
		}
	}
}

// join has the poll share what others ask, or have asked. It is not ok where the poll
// has to ask itself.
func (p *Poll) join(w *walk) (reply Reply, ok bool) {
	for {
		p.waiter.Note()
		join, ready, lead := p.group.Meet(w.again, w.cancel)
		if lead != nil {
			w.ask = lead
			return Reply{}, false
		}
		if join != nil {
			if reply = p.await(join, w); reply.Kind != 0 || w.ask != nil {
				return reply, w.ask == nil
			}
			ready = join.Result()
			if !w.again && ready.Answer == nil && !ready.Retry.IsZero() {
				continue // it was given up, or a replay that failed: no answer to a first ask
			}
		}
		if ready.Suits(p.request.Field) {
			return p.shared(ready, w)
		}
		p.regroup(ready.Varies)
	}
}

// await waits for a flight's end, for which the reply has no kind. A replay's deadline
// may come first, and the client may leave. If the backend does not answer, the poll may
// be the next to ask it: then w has the ask.
func (p *Poll) await(join *share.Flight, w *walk) Reply {
	p.limits.Lift()
	until := time.Now().Add(forever)
	if w.again {
		until = p.replayUntil()
	}
	if !w.heed(until) {
		if reply := p.hears(join, w, until); reply.Kind != 0 || w.ask != nil {
			return reply
		}
	}
	defer w.unhold()
	for {
		select {
		case <-join.Done():
			return Reply{}
		case <-p.r.Context().Done():
			join.JoinerLeft()
			return Reply{Kind: Left}
		case <-join.More():
			if w.ask = join.Lead(w.cancel); w.ask != nil {
				return Reply{}
			}
		case o := <-p.outcomes:
			w.holding = false
			if o.Cause == lot.TimedOut {
				join.JoinerLeft()
				return Reply{Kind: TimedOut}
			}
			if reply := p.hears(join, w, until); reply.Kind != 0 || w.ask != nil {
				return reply
			}
		}
	}
}

// hears has an event free a poll that waits for another's ask, as it would free one that
// is parked: it has a message for answer, or asks itself. Else it waits on.
func (p *Poll) hears(join *share.Flight, w *walk, until time.Time) Reply {
	if w.again && p.kept != nil && p.waiter.HasMessage() {
		join.JoinerLeft()
		if p.streams {
			return p.refused(time.Time{}) // the replay is made up for later
		}
		return Reply{Kind: NothingNew}
	}
	if w.ask = join.Free(w.cancel); w.ask == nil {
		w.hold(until, func() {})
	}
	return Reply{}
}

// shared makes the result of another's ask the poll's own. It is not ok where there is
// none for others.
func (p *Poll) shared(r *share.Result, w *walk) (reply Reply, ok bool) {
	failed := !r.Retry.IsZero() || refused(r.Err)
	switch {
	case w.again && failed:
		return p.refused(r.Retry), true
	case r.Err != nil:
		return Reply{Kind: Failed, Answer: r.Answer, Err: r.Err}, true
	case r.Answer == nil:
		return Reply{}, false
	}
	if r.Personal {
		p.warnOfPersonal()
	}
	w.asks().Shared.Inc()
	return p.took(r.Answer, r.NothingNew), true
}

// lead asks the backend.
func (p *Poll) lead(w *walk) Reply {
	defer w.end() // also where the route panics
	w.begin()
	return p.conclude(w, p.pass(w))
}

// pass sends the request, whenever there is a place for it at the backend.
func (p *Poll) pass(w *walk) (result backend.Result) {
	for cuts := 0; w.queue(); cuts++ {
		w.asks().Sent.Inc()
		p.passes++
		p.line.Slow.Begin(&w.slow, w)
		result = p.request.Send(w.ctx, p.client, p.next, w)
		w.answered()
		if cuts == mostCuts || w.inner || !w.wasCut(&result) {
			break
		}
	}
	return result
}

// conclude ends an ask, for the poll and for those who joined it.
func (p *Poll) conclude(w *walk, result backend.Result) Reply {
	w.unhold()
	if w.inner {
		return Reply{Kind: Streamed, Err: result.Err}
	}
	if reply, ok := p.overtaken(w, result); ok {
		return reply
	}
	reply, landing := p.judge(result, w)
	if reply.Kind == Refused {
		p.line.Metrics.FailedReplays.Inc()
	}
	p.announce(w, reply.Kind)
	if landing == nil {
		w.giveUp(p.backoff())
	}
	w.land(landing)
	if reply.Kind == News {
		p.wakeOthers()
	}
	if reply.Kind != Streamed && p.r.Context().Err() != nil {
		reply.Kind = Left
	}
	return reply
}

// overtaken has the poll take what another ask of its flight has brought, if its own was
// cancelled for that.
func (p *Poll) overtaken(w *walk, result backend.Result) (reply Reply, ok bool) {
	if w.ask == nil || w.ctx.Err() == nil || result.Streamed || p.r.Context().Err() != nil {
		return Reply{}, false
	}
	served := w.ask.Served()
	if served == nil {
		return Reply{}, false
	}
	w.giveUp(0)
	if !served.Suits(p.request.Field) {
		p.regroup(served.Varies)
		return Reply{Kind: anew}, true
	}
	return p.shared(served, w)
}

// judge says what a walk's result means for the poll, and for others that wait for its
// flight: nil if the ask was cancelled.
func (p *Poll) judge(result backend.Result, w *walk) (Reply, *share.Result) {
	kept, cancelled := result.Answer, w.ctx.Err() != nil
	switch {
	case result.Streamed && result.Aborted:
		return Reply{Kind: Broken}, share.Alone
	case result.Streamed:
		return Reply{Kind: Streamed, Err: result.Err}, share.Alone
	case w.unfit:
		return Reply{Kind: Unfit}, share.Alone
	case cancelled:
		return Reply{Kind: TimedOut}, nil
	case w.again && (w.wasCut(&result) || result.Aborted || refused(result.Err) || kept == nil && result.Err == nil || p.isFailure(kept)):
		retry := time.Now().Add(p.backoff())
		return p.refused(retry), &share.Result{Retry: retry}
	case result.Aborted:
		return Reply{Kind: Broken, Answer: kept}, share.Alone
	case result.Err != nil && kept == nil:
		return Reply{Kind: Failed, Answer: result.Prepared, Err: result.Err}, p.sharableFailure(result)
	case result.Err != nil:
		return Reply{Kind: Failed, Answer: kept, Err: result.Err}, share.Alone
	}
	kept, nothingNew := p.tell(kept)
	landing := p.sharable(kept, nothingNew) // before the poll takes over its cookies
	return p.took(kept, nothingNew), landing
}

// tell decides whether an answer is nothing new, and gives it a validator where
// the rules want one. A client that has the answer already, by parker's own
// validator, gets to know just that, unless its method is not one that a 304 answers:
// then the answer is nothing new as it is. RFC 9110, section 13.1.2.
func (p *Poll) tell(a *backend.Answer) (*backend.Answer, bool) {
	if nobody, _ := caddyhttp.GetVar(p.r.Context(), "unhandled").(bool); nobody && p.messagesOnly() {
		return noContentAfter(a), true // there is no backend
	}
	rules := p.line.Rules
	var request http.Header
	if rules.Unchanged != nil {
		request = p.request.Header()
	}
	if tag := rules.Tag(a.Status, a.Header, a.Body); tag != "" {
		a.Header.Set("ETag", tag)
		if p.takesNotModified() && rules.Unmodified(request, a.Header) {
			return a.NotModified(), true
		}
	}
	if rules.Met(request, a.Status, a.Header, a.Body) {
		return a, true
	}
	p.looked(a.Status, a.Header, a.Body)
	return a, false
}

// takesNotModified reports whether the client asked in a way that a 304 answers, whatever
// method the request has by now.
func (p *Poll) takesNotModified() bool {
	method := p.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).Method
	return method == http.MethodGet || method == http.MethodHead
}

// sharable is what others may have of an answer.
func (p *Poll) sharable(a *backend.Answer, nothingNew bool) *share.Result {
	varies, ok := share.Varied(a.Header, p.request.Field)
	if len(a.Header["Set-Cookie"]) > 0 {
		ok = ok && p.line.Share.Public()
		a = a.Without("Set-Cookie")
	}
	if !ok {
		return share.Alone
	}
	r := &share.Result{Answer: a, NothingNew: nothingNew, Varies: varies}
	r.Personal = p.line.Share.Public() && personal(a.Header)
	if unavailable(a.Status) && !nothingNew {
		r.Retry = time.Now().Add(p.backoff())
	}
	return r
}

// personal reports whether the backend says that an answer is one client's only:
// RFC 9111, sections 5.2.2.5 and 5.2.2.7.
func personal(header http.Header) bool {
	return slices.ContainsFunc(field.List(header["Cache-Control"]), func(directive string) bool {
		name, _, _ := strings.Cut(directive, "=")
		return strings.EqualFold(name, "private") || strings.EqualFold(name, "no-store")
	})
}

func (p *Poll) warnOfPersonal() {
	p.line.Personal.Warn(p.line.Logger, "an answer that the backend marks private or no-store was shared",
		fmt.Errorf("share public shares all answers to %s %q", p.r.Method, p.clientPath()))
}

// sharableFailure is what others may have of the handlers' error.
func (p *Poll) sharableFailure(result backend.Result) *share.Result {
	if result.Prepared == nil {
		return &share.Result{Err: result.Err}
	}
	r := p.sharable(result.Prepared, false)
	if r.Answer != nil {
		r.Err = result.Err
	}
	return r
}

// took makes an answer the poll's own.
func (p *Poll) took(a *backend.Answer, nothingNew bool) Reply {
	p.failures, p.retry = 0, time.Time{}
	if !nothingNew && !p.streams {
		return Reply{Kind: News, Answer: a}
	}
	p.holdCookies(a)
	if !nothingNew {
		return Reply{Kind: News, Answer: a}
	}
	p.kept = a
	return Reply{Kind: NothingNew}
}

// holdCookies keeps the cookies of an answer that the client does not get, or only
// as an event, and sends them with the next.
func (p *Poll) holdCookies(a *backend.Answer) {
	if p.cookies.Hold(a.Header) {
		header := p.request.Header()
		if fields := p.cookies.Present(header["Cookie"], p.clientPath()); fields != nil {
			header["Cookie"] = fields
		} else {
			delete(header, "Cookie")
		}
		p.regroup(nil)
	}
}

// refused has the poll ask again at the time given, which those who share a
// replay have in common.
func (p *Poll) refused(retry time.Time) Reply {
	if retry.IsZero() {
		retry = time.Now().Add(p.backoff())
	}
	p.failures++
	p.retry = retry
	return Reply{Kind: Refused}
}

func (p *Poll) backoff() time.Duration {
	d := min(firstBackoff<<min(p.failures, 10), lastBackoff)
	return d - rand.N(d/2)
}

// wakeOthers has those ask that are parked with this poll, if its turn at asking for all
// brought news. What is news on a stream is known once it is an event.
func (p *Poll) wakeOthers() {
	switch {
	case p.stamp.Release == answer.Watch:
		p.asked.WakeAll()
	case p.ended.Cause == lot.Looked && !p.streams:
		p.asked.Found()
	}
}

// announce publishes on the channels that an answer named. On an answer to a replay that
// leaves the poll waiting, or the stream open, an announcement counts for nothing: two
// that wait on each other's channels would wake each other for ever. Nor is it news to
// the poll itself.
func (p *Poll) announce(w *walk, kind Kind) {
	channels := w.announced
	if kind == NothingNew || kind == Refused || p.streams {
		if w.again {
			return
		}
		channels = slices.DeleteFunc(channels, func(name string) bool { return slices.Contains(p.channels, name) })
	}
	if len(channels) > 0 {
		p.line.Announce(channels)
	}
}

// isFailure reports whether an answer to a replay says that the backend is not there for
// now. What the operator takes for nothing new is no failure.
func (p *Poll) isFailure(a *backend.Answer) bool {
	return a != nil && unavailable(a.Status) && !p.line.Rules.Met(p.request.Header(), a.Status, a.Header, a.Body)
}

// unavailable tells which statuses a backend that restarts answers with, itself
// or by its proxy.
func unavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// refused tells whether handlers failed for want of the backend.
func refused(err error) bool {
	var handlerErr caddyhttp.HandlerError
	return errors.As(err, &handlerErr) && unavailable(handlerErr.StatusCode)
}
