package asker

import (
	"fmt"
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
)

// judge returns what the result of an attempt means for the request, and for others that
// wait for its call: nil if the ask was canceled.
func (a *Asker) judge(result ask.Result, t *attempt) (Reply, *coalesce.Result) {
	kept, canceled := result.Answer, t.ctx.Err() != nil
	switch {
	case result.Streamed && result.Aborted:
		return Reply{Kind: Broken}, coalesce.Alone
	case result.Streamed:
		return Reply{Kind: Streamed, Err: result.Err}, coalesce.Alone
	case t.unfit:
		return Reply{Kind: Unfit}, coalesce.Alone
	case canceled:
		return Reply{Kind: TimedOut}, nil
	case t.again && a.replayFailed(&result, t):
		retry := a.nextRetry()
		return a.refuse(retry), &coalesce.Result{Retry: retry}
	case result.Aborted:
		return Reply{Kind: Broken, Answer: kept}, coalesce.Alone
	case result.Err != nil && kept == nil:
		return Reply{Kind: Failed, Answer: result.Prepared, Err: result.Err}, a.sharableFailure(result)
	case result.Err != nil:
		return Reply{Kind: Failed, Answer: kept, Err: result.Err}, coalesce.Alone
	}
	kept, nothingNew := a.classify(kept)
	personal := a.sharesPersonal(kept.Header)
	a.revalidate(kept)
	finished := a.sharable(kept, nothingNew, personal) // before the request takes over its cookies
	a.part(finished)
	reply := a.took(kept, nothingNew)
	hold(reply, finished)
	return reply, finished
}

// replayFailed reports whether the result of a replay says that the backend is unavailable
// for now. What the operator takes for nothing new is no failure.
func (a *Asker) replayFailed(result *ask.Result, t *attempt) bool {
	if t.wasCut(result) || result.Aborted || isUnavailableError(result.Err) {
		return true
	}
	kept := result.Answer
	if kept == nil {
		return result.Err == nil
	}
	return isUnavailable(kept.Status) && !a.config.Rules.Met(a.Request.Header(), kept.Status, kept.Header, kept.Body)
}

// classify decides whether an answer is nothing new, and gives it a validator if the rules
// want one. If the client has the same answer already, by parker's own validator, the
// answer becomes a 304, unless the method is one that a 304 does not answer: then it is
// nothing new as it is (RFC 9110, section 13.1.2).
func (a *Asker) classify(kept *ask.Answer) (*ask.Answer, bool) {
	if a.MessagesOnly() && caddyinternals.Unhandled(a.HTTP.Context()) {
		return NoContentAfter(kept), true // there is no backend
	}
	rules := a.config.Rules
	var request http.Header
	if rules.Unchanged != nil {
		request = a.Request.Header()
	}
	if tag := rules.Tag(kept.Status, kept.Header, kept.Body); tag != "" {
		kept.Header.Set("ETag", tag)
		if a.takesNotModified() && rules.Unmodified(request, kept.Header) {
			return a.unmodified(kept), true
		}
	}
	if rules.Met(request, kept.Status, kept.Header, kept.Body) && !a.differs(kept) {
		return kept, true
	}
	a.look(kept.Status, kept.Header, kept.Body)
	return kept, false
}

// differs reports whether an answer has the date of the one that is kept, but differs from
// it.
func (a *Asker) differs(new *ask.Answer) bool {
	old := a.Kept
	return old != nil && old.Status == new.Status && a.config.Rules.Differ(new.Status, new.Header, new.Body, old.Header, old.Body)
}

// takesNotModified reports whether a 304 can answer the method that the client used.
func (a *Asker) takesNotModified() bool {
	method := a.HTTP.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).Method
	return method == http.MethodGet || method == http.MethodHead
}

// sharable returns what others may have of an answer. personal is what sharesPersonal says of
// it as the backend has sent it.
func (a *Asker) sharable(kept *ask.Answer, nothingNew, personal bool) *coalesce.Result {
	varies, ok := coalesce.Varied(kept.Header, a.Request.Field)
	if len(kept.Header["Set-Cookie"]) > 0 {
		ok = ok && (a.config.Share.Public() || a.config.Share.Everything() && a.renewsCookies(kept.Header))
		kept = kept.Without("Set-Cookie")
	}
	if !ok {
		return coalesce.Alone
	}
	r := &coalesce.Result{Answer: kept, NothingNew: nothingNew, Varies: varies, Body: a.Request.Body()}
	if a.mayEcho(kept, nil) {
		r.Target, r.Padded = a.target(), a.isPadded(kept)
	}
	r.Personal = personal
	if isUnavailable(kept.Status) && !nothingNew {
		r.Retry = a.nextRetry()
	}
	return r
}

// renewsCookies reports whether an answer only sets the cookies that the request has, and for
// long. Requests that have the same cookies may do without: the next ask renews them.
func (a *Asker) renewsCookies(header http.Header) bool {
	sent := make(map[string]string)
	for _, line := range a.Request.Header()["Cookie"] {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			return false
		}
		for _, cookie := range cookies {
			sent[cookie.Name] = cookie.Value
		}
	}
	return !slices.ContainsFunc(header["Set-Cookie"], func(line string) bool {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			return true
		}
		value, has := sent[cookie.Name]
		return !has || value != cookie.Value || !lastsLong(cookie)
	})
}

// lastsLong reports whether a cookie lasts for the session of the browser, or for so long that
// it need not be renewed by each answer.
func lastsLong(cookie *http.Cookie) bool {
	const long = 10 * time.Minute
	switch {
	case cookie.MaxAge != 0:
		return cookie.MaxAge >= int(long.Seconds())
	case cookie.RawExpires != "":
		return time.Until(cookie.Expires) >= long
	}
	return true
}

// sharableFailure returns what others may have of the handlers' error.
func (a *Asker) sharableFailure(result ask.Result) *coalesce.Result {
	r := &coalesce.Result{Body: a.Request.Body()}
	if result.Prepared != nil {
		if r = a.sharable(result.Prepared, false, a.sharesPersonal(result.Prepared.Header)); r.Answer == nil {
			return r
		}
	}
	r.Err = result.Err
	if a.mayEcho(nil, result.Err) {
		r.Target = a.target()
	}
	return r
}

// sharesPersonal reports whether an answer is shared although the backend says that it is for
// one client only.
func (a *Asker) sharesPersonal(header http.Header) bool {
	return a.config.Share.Public() && isPersonal(header)
}

// isPersonal reports whether the backend says that an answer is for one client only
// (RFC 9111, sections 5.2.2.5 and 5.2.2.7).
func isPersonal(header http.Header) bool {
	return slices.ContainsFunc(field.List(header["Cache-Control"]), func(directive string) bool {
		name, _, _ := strings.Cut(directive, "=")
		return strings.EqualFold(name, "private") || strings.EqualFold(name, "no-store")
	})
}

func (a *Asker) warnOfPersonal() {
	a.config.Personal.Warn(a.config.Logger, "an answer that the backend marks private or no-store was shared",
		fmt.Errorf("share public shares all answers to %s %q", a.HTTP.Method, a.Path()))
}

// took makes an answer the request's own.
func (a *Asker) took(kept *ask.Answer, nothingNew bool) Reply {
	a.failures, a.Retry = 0, time.Time{}
	remembered := !nothingNew && a.has(kept)
	nothingNew = nothingNew || remembered
	if !nothingNew && !a.Streams {
		return Reply{Kind: News, Answer: kept}
	}
	a.holdCookies(kept)
	if !nothingNew {
		return Reply{Kind: News, Answer: kept}
	}
	a.Kept, a.unchanged = kept, remembered || a.saysItHas(kept)
	return Reply{Kind: NothingNew}
}

// holdCookies keeps the cookies of an answer that the client does not get, or only as an
// event, and sends them with the next ask.
func (a *Asker) holdCookies(kept *ask.Answer) {
	if a.Cookies.Hold(kept.Header) {
		a.SetField("Cookie", a.Cookies.Present(a.Request.Header()["Cookie"], a.Path()))
	}
}

// wakeOthers makes the parked members of the group ask, if this request has asked for all
// of them and found news. On a stream that is known only when the answer has become an
// event.
func (a *Asker) wakeOthers() {
	if a.watch {
		a.asked.WakeAll()
	} else if !a.Streams {
		a.Found()
	}
}

// announce publishes on the channels that an answer named. If the answer to a replay
// leaves the request parked, or the stream open, nothing is published: two requests that
// wait on each other's channels would wake each other without end. For the same reason the
// request's own channels are left out.
func (a *Asker) announce(t *attempt, kind Kind) {
	channels := t.announced
	if kind == NothingNew || kind == Refused || a.Streams {
		if t.again {
			return
		}
		channels = slices.DeleteFunc(channels, func(name string) bool { return slices.Contains(a.Channels, name) })
	}
	if len(channels) > 0 {
		a.config.Hub.Announce(channels)
	}
}

// NoContent is the answer of requests that wait for messages only, if there are none. It
// must not be changed.
var NoContent = &ask.Answer{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}

// NoContentAfter returns the same in place of an answer, which may be nil. Pages of other
// origins that may read that answer may read this one.
func NoContentAfter(kept *ask.Answer) *ask.Answer {
	a := &ask.Answer{Status: NoContent.Status, Header: NoContent.Header.Clone()}
	if kept != nil {
		answer.AllowOrigins(a.Header, kept.Header)
	}
	return a
}
