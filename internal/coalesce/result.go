package coalesce

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/ask"
)

// Result is the result of a call, for all that have joined it.
type Result struct {
	// Answer is the answer that can be shared, or nil if each must ask alone. If Err is
	// set, it holds the header fields of the error's answer, if there are any.
	Answer     *ask.Answer
	NothingNew bool

	// Held is true if the request that has asked is held with the answer, because its
	// client has that already.
	Held bool

	// Varies holds the request fields that the answer's Vary names, as the leader's
	// request had them. The answer matches requests with the same fields.
	Varies http.Header

	// Target is the target of the leader's request if the answer contains the value of an
	// ignored parameter, or may contain it. The answer matches requests with the same
	// target. Otherwise it is the zero Target.
	Target Target

	// Padded is true if the answer is a call of a function that an ignored parameter names,
	// so that it is not for requests with another name.
	Padded bool

	// Body is the body of the leader's request. The answer to another one must be made for
	// it, or each must ask alone.
	Body []byte

	// Personal is true if the backend marks the answer as one client's, and the operator
	// shares it all the same.
	Personal bool

	// Err is the handlers' error. Caddy makes an answer of it.
	Err error

	// Retry is when to ask again if the ask has failed or was given up. Otherwise it is
	// the zero time.
	Retry time.Time
}

// Alone is the result of a call that has nothing to share: each must ask alone.
var Alone = new(Result)

// Matches reports whether a request with these fields and this target would have got the
// answer. RFC 9110, section 12.5.5.
func (r *Result) Matches(field func(name string) []string, target Target) bool {
	if !r.MatchesTarget(target) {
		return false
	}
	for name, values := range r.Varies {
		if !slices.Equal(field(name), values) {
			return false
		}
	}
	return true
}

// MatchesTarget reports whether a request with this target would have got the answer, as
// far as ignored parameters are concerned.
func (r *Result) MatchesTarget(target Target) bool {
	return r.Target == (Target{}) || r.Target == target
}

// Varied returns the request fields that the answer's Vary names. ok is false if that is
// `*`, because then no other request would get the answer.
func Varied(answer http.Header, field func(name string) []string) (varies http.Header, ok bool) {
	for _, line := range answer["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			switch name {
			case "":
				continue
			case "*":
				return nil, false
			}
			if varies == nil {
				varies = make(http.Header)
			}
			varies[name] = field(name)
		}
	}
	return varies, true
}

// fails reports whether the backend failed to answer.
func (r *Result) fails() bool {
	return r.Err != nil || !r.Retry.IsZero() || r.Answer != nil && !r.NothingNew && r.Answer.Status >= http.StatusInternalServerError
}

// reusable reports whether first asks may be served as long as nothing is published.
func (r *Result) reusable() bool { return r.NothingNew || r.Held }

// serves reports whether the result is for all members of the group.
func (r *Result) serves() bool { return r.Answer != nil || r.Err != nil }
