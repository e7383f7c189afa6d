package asker

import (
	"net/http"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/memory"
)

// Remember makes the request one of a client of which is remembered what it was given.
// q.Key is set.
func (a *Asker) Remember(q memory.Request) {
	request := a.keyRequest()
	request.Unconditional = true
	request.Body = a.config.Rules.RequestBody(a.Request.Header(), request.Body)
	q.Key = memory.Key(a.config.Remember.Key(request))
	q.Conditional = a.conditional()
	a.Memory = a.config.Hub.Memories.Begin(q)
}

// conditional reports whether the client itself says what it has.
func (a *Asker) conditional() bool {
	return len(a.Request.Field("If-None-Match"))+len(a.Request.Field("If-Modified-Since")) > 0
}

// has reports whether the client has an answer already, as far as is remembered.
func (a *Asker) has(kept *ask.Answer) bool {
	return a.Memory != nil && a.config.Rules.Remember != nil && !a.conditional() && a.Memory.Has(a.digestOf(kept))
}

// Follows reports whether the last answer with nothing new may be new to the page that
// polls, though its browser says that it has it.
func (a *Asker) Follows() bool { return a.conditional() && a.Memory.Follows() }

// unmodified returns the 304 for an answer that the client has. It is remembered as that
// answer.
func (a *Asker) unmodified(kept *ask.Answer) *ask.Answer {
	digest, unmodified := a.digestOf(kept), kept.NotModified()
	a.digested, a.digest = unmodified, digest
	return unmodified
}

// digestOf returns the digest by which an answer is remembered. It is zero if answers such
// as this one are not compared.
func (a *Asker) digestOf(kept *ask.Answer) memory.Digest {
	if a.digested != kept {
		digest, _ := a.config.Rules.Digest(kept.Status, kept.Header, kept.Body)
		a.digested, a.digest = kept, digest
	}
	return a.digest
}

// Gave notes that the client gets an answer that is news. It is nil if it is not known
// whole.
func (a *Asker) Gave(given *ask.Answer) {
	if a.Memory == nil {
		return
	}
	var digest memory.Digest
	if given != nil {
		digest = a.digestOf(given)
	}
	a.Memory.Gave(digest)
}

// GaveKept notes that the client gets the last answer with nothing new.
func (a *Asker) GaveKept() {
	if a.Memory == nil {
		return
	}
	if digest := a.digestOf(a.Kept); digest != (memory.Digest{}) {
		a.Memory.Gave(digest)
	} else {
		a.Memory.Kept()
	}
}

// News returns why the request is not held though the backend has answered.
func (a *Asker) News() answer.Detail {
	if a.config.Rules.Remember != nil && !a.conditional() && !a.Memory.Known() && !memory.IsPageLoad(a.HTTP) {
		return answer.Unknown
	}
	return answer.News
}

// whyNotRemembered returns for a debug line why the client is not known to have an answer.
func (a *Asker) whyNotRemembered() string {
	switch {
	case a.config.Rules.Remember == nil || a.conditional():
		return ""
	case !a.Memory.Remembers():
		return "; remember: the client cannot be told from others"
	case !a.Memory.Known():
		return "; remember: nothing is known of what the client has"
	}
	return "; remember: the client has another answer"
}

// saysItHas reports whether an answer with nothing new is one that the client has already,
// as its request or the backend says.
func (a *Asker) saysItHas(kept *ask.Answer) bool {
	rules := a.config.Rules
	return rules.Unchanged != nil && (kept.Status == http.StatusNotModified || rules.Unmodified(a.Request.Header(), kept.Header))
}

// CountHold counts that the request is held because the client has the answer already. A
// request counts once, however often it is parked.
func (a *Asker) CountHold() {
	if a.unchanged && !a.counted {
		a.counted = true
		a.config.Metrics.Unchanged.Inc()
	}
}

// hold says in the result of an ask that the request is held with its answer, so that it
// can serve others as long as nothing is published.
func hold(reply Reply, finished *coalesce.Result) {
	if reply.Kind == NothingNew && finished.Answer != nil {
		finished.Held = true
	}
}
