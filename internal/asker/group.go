package asker

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/coalesce"
)

// key returns the key of the group of the request as it is now.
func (a *Asker) key() coalesce.Key {
	q := a.keyRequest()
	q.Varies, q.Whole = a.varies, a.whole
	if q.Body != nil && a.config.Rules.Unchanged != nil { // most requests never need the map of their header
		q.WholeBody = q.Body
		q.Body = a.config.Rules.CallBody(a.Request.Header(), q.Body)
	}
	return a.config.Share.Key(q)
}

// keyRequest returns what the keys of the request are made of.
func (a *Asker) keyRequest() coalesce.Request {
	return coalesce.Request{
		HTTP:     a.HTTP,
		Kept:     a.Request,
		Channels: a.Channels,
		Position: a.namesPosition(),
		Body:     a.Request.Body(),
		Alone:    a.Alone,
	}
}

// target returns the target with which each ask begins.
func (a *Asker) target() (t coalesce.Target) {
	t.Original = a.HTTP.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).RequestURI
	t.RequestURI, t.RawQuery = a.Request.Target()
	return t
}

// own returns the result of another's ask as it would be for this request. ok is false if
// that is not known.
func (a *Asker) own(r *coalesce.Result) (own *coalesce.Result, ok bool) {
	if !r.Matches(a.Request.Field, a.target()) {
		return nil, false
	}
	if a.hasBodyOf(r) || r.Answer == nil && r.Err == nil {
		return r, true
	}
	if r.Answer == nil || r.Err != nil {
		return nil, false
	}
	body, ok := a.config.Rules.AnswerFor(r.Answer.Header, r.Answer.Body, r.Body, a.Request.Body())
	if !ok {
		return nil, false
	}
	copied := *r
	copied.Answer = r.Answer.WithBody(body)
	return &copied, true
}

// hasBodyOf reports whether the request has the same body as that which a result is for.
func (a *Asker) hasBodyOf(r *coalesce.Result) bool { return bytes.Equal(r.Body, a.Request.Body()) }

// namesPosition reports whether the client's Last-Event-ID is a position of this broker's
// events. Anything else may be a position of the backend's.
func (a *Asker) namesPosition() bool {
	lines := a.Request.Field("Last-Event-Id")
	if len(lines) != 1 {
		return false
	}
	position, err := brokers.ParsePosition(lines[0])
	return err == nil && position.Epoch == a.config.Hub.Position().Epoch
}

// separate makes the request a member of another group after a result that does not match.
// From now on the fields count by which its answer varied. Those of earlier answers count as
// well: otherwise a backend that names other fields each time would make the request change
// groups without end. If the answer was for other values of ignored parameters, or of parts of
// the body that do not count, these count, too.
func (a *Asker) separate(r *coalesce.Result) {
	for name := range r.Varies {
		if at, found := slices.BinarySearch(a.varies, name); !found {
			a.varies = slices.Insert(a.varies, at, name)
		}
	}
	if whole := !r.MatchesTarget(a.target()) || !a.hasBodyOf(r); whole && !a.whole {
		a.whole, a.parted = true, parted{a.group, r}
	}
	a.regroup()
}

// parted is what a request has left because an answer was not for it. It is the zero value if
// it has left nothing.
type parted struct {
	group  *coalesce.Group
	answer *coalesce.Result
}

// part makes the client ask alone from now on if its own answer could not be another's,
// either. Otherwise another client, whose answers are unusual, would decide that.
func (a *Asker) part(own *coalesce.Result) {
	group, other := a.parted.group, a.parted.answer
	a.parted = parted{} // which would keep the answer
	if other == nil || own.Answer == nil || len(own.Answer.Body) == 0 || own.Answer.Status >= http.StatusBadRequest {
		return
	}
	differs := !bytes.Equal(own.Body, other.Body)
	if own.Padded && other.Padded || differs && !a.config.Rules.Repeats(own.Answer.Header, own.Answer.Body, own.Body, other.Body) {
		group.SetApart(a.space.Address())
	}
}

// regroup makes the request a member of the group for what it is now.
func (a *Asker) regroup() {
	a.Request.Restore()
	old := a.group
	a.Enter()
	old.Exit()
}

// SetField replaces a header field of the request in all asks to come.
func (a *Asker) SetField(name string, lines []string) {
	if header := a.Request.Header(); lines == nil {
		delete(header, name)
	} else {
		header[name] = lines
	}
	a.regroup()
}
