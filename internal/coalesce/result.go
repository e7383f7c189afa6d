package coalesce

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/ask"
)

// Result is what a call brought, for all that joined it.
type Result struct {
	// Answer can be shared. It is nil if each has to ask alone, unless Err is
	// set: to that it may hold header fields.
	Answer     *ask.Answer
	NothingNew bool

	// Varies holds the request fields named by the answer's Vary, as the
	// leader's request had them: it suits requests with the same.
	Varies http.Header

	// Personal says that the backend marks the answer as one client's only, and that
	// the operator shares it all the same.
	Personal bool

	// Err is the handlers' error, of which Caddy makes an answer.
	Err error

	// Retry is when to ask again, if the ask failed or was given up; zero if it
	// was not.
	Retry time.Time
}

// Alone is the result of a call that has nothing to share: each has to ask alone.
var Alone = new(Result)

// Matches reports whether a request with these fields would have got the answer.
// RFC 9110, section 12.5.5.
func (r *Result) Matches(field func(name string) []string) bool {
	for name, values := range r.Varies {
		if !slices.Equal(field(name), values) {
			return false
		}
	}
	return true
}

// Varied is those of a request's fields that the answer's Vary names. With
// `*` no other request would get the answer: ok is false.
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

// serves reports whether the result is for all members that wait for it.
func (r *Result) serves() bool { return r.Answer != nil || r.Err != nil }
