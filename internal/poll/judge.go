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
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
)

// judge says what an attempt's result means for the poll, and for others that wait for its
// call: nil if the ask was cancelled.
func (p *Poll) judge(result ask.Result, a *attempt) (Reply, *coalesce.Result) {
	kept, cancelled := result.Answer, a.ctx.Err() != nil
	switch {
	case result.Streamed && result.Aborted:
		return Reply{Kind: Broken}, coalesce.Alone
	case result.Streamed:
		return Reply{Kind: Streamed, Err: result.Err}, coalesce.Alone
	case a.unfit:
		return Reply{Kind: Unfit}, coalesce.Alone
	case cancelled:
		return Reply{Kind: TimedOut}, nil
	case a.again && (a.wasCut(&result) || result.Aborted || refused(result.Err) || kept == nil && result.Err == nil || p.isFailure(kept)):
		retry := time.Now().Add(p.backoff())
		return p.refused(retry), &coalesce.Result{Retry: retry}
	case result.Aborted:
		return Reply{Kind: Broken, Answer: kept}, coalesce.Alone
	case result.Err != nil && kept == nil:
		return Reply{Kind: Failed, Answer: result.Prepared, Err: result.Err}, p.sharableFailure(result)
	case result.Err != nil:
		return Reply{Kind: Failed, Answer: kept, Err: result.Err}, coalesce.Alone
	}
	kept, nothingNew := p.tell(kept)
	finished := p.sharable(kept, nothingNew) // before the poll takes over its cookies
	return p.took(kept, nothingNew), finished
}

// tell decides whether an answer is nothing new, and gives it a validator where
// the rules want one. A client that has the answer already, by parker's own
// validator, gets to know just that, unless its method is not one that a 304 answers:
// then the answer is nothing new as it is. RFC 9110, section 13.1.2.
func (p *Poll) tell(a *ask.Answer) (*ask.Answer, bool) {
	if p.messagesOnly() && caddyinternals.Unhandled(p.r.Context()) {
		return noContentAfter(a), true // there is no backend
	}
	rules := p.config.Rules
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
	if rules.Met(request, a.Status, a.Header, a.Body) && !p.differs(a) {
		return a, true
	}
	p.looked(a.Status, a.Header, a.Body)
	return a, false
}

// differs reports whether an answer that has the date of the one that is kept differs
// from it all the same.
func (p *Poll) differs(a *ask.Answer) bool {
	k := p.kept
	return k != nil && k.Status == a.Status && p.config.Rules.Differ(a.Status, a.Header, a.Body, k.Header, k.Body)
}

// takesNotModified reports whether the client asked in a way that a 304 answers, whatever
// method the request has by now.
func (p *Poll) takesNotModified() bool {
	method := p.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).Method
	return method == http.MethodGet || method == http.MethodHead
}

// sharable is what others may have of an answer.
func (p *Poll) sharable(a *ask.Answer, nothingNew bool) *coalesce.Result {
	varies, ok := coalesce.Varied(a.Header, p.request.Field)
	if len(a.Header["Set-Cookie"]) > 0 {
		ok = ok && p.config.Share.Public()
		a = a.Without("Set-Cookie")
	}
	if !ok {
		return coalesce.Alone
	}
	r := &coalesce.Result{Answer: a, NothingNew: nothingNew, Varies: varies}
	r.Personal = p.config.Share.Public() && personal(a.Header)
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
	p.config.Personal.Warn(p.config.Logger, "an answer that the backend marks private or no-store was shared",
		fmt.Errorf("share public shares all answers to %s %q", p.r.Method, p.clientPath()))
}

// sharableFailure is what others may have of the handlers' error.
func (p *Poll) sharableFailure(result ask.Result) *coalesce.Result {
	if result.Prepared == nil {
		return &coalesce.Result{Err: result.Err}
	}
	r := p.sharable(result.Prepared, false)
	if r.Answer != nil {
		r.Err = result.Err
	}
	return r
}

// took makes an answer the poll's own.
func (p *Poll) took(a *ask.Answer, nothingNew bool) Reply {
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
func (p *Poll) holdCookies(a *ask.Answer) {
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

// refused has the poll ask again at the time given, which all that share a
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
	case p.report.Release == answer.Watch:
		p.asked.WakeAll()
	case p.ended.Cause == lot.Looked && !p.streams:
		p.asked.Found()
	}
}

// announce publishes on the channels that an answer named. On an answer to a replay that
// leaves the poll waiting, or the stream open, an announcement counts for nothing: two
// that wait on each other's channels would wake each other for ever. Nor is it news to
// the poll itself.
func (p *Poll) announce(a *attempt, kind Kind) {
	channels := a.announced
	if kind == NothingNew || kind == Refused || p.streams {
		if a.again {
			return
		}
		channels = slices.DeleteFunc(channels, func(name string) bool { return slices.Contains(p.channels, name) })
	}
	if len(channels) > 0 {
		p.config.Announce(channels)
	}
}

// isFailure reports whether an answer to a replay says that the backend is not there for
// now. What the operator takes for nothing new is no failure.
func (p *Poll) isFailure(a *ask.Answer) bool {
	return a != nil && unavailable(a.Status) && !p.config.Rules.Met(p.request.Header(), a.Status, a.Header, a.Body)
}

// unavailable tells which statuses a backend that restarts answers with, itself
// or by its proxy.
func unavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// refused reports whether handlers failed for want of the backend.
func refused(err error) bool {
	var handlerErr caddyhttp.HandlerError
	return errors.As(err, &handlerErr) && unavailable(handlerErr.StatusCode)
}
