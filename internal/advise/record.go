package advise

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// record is what is kept of an observation.
type record struct {
	begun   int64 // nanoseconds since 1970
	took    time.Duration
	fields  []field
	sender  *sender
	renewed []credential // cookies that the answer sets
	answer  *answer
	facts   facts
	client  uint64 // of a report only: see setClients
	tab     uint64 // of a report only: see setTabs
}

func (r *record) end() int64 { return r.begun + int64(r.took) }

// field returns the value of a field of a request.
func (r *record) field(name int) (value uint64, ok bool) {
	f, ok := r.whole(name)
	return f.value, ok
}

func (r *record) whole(name int) (f field, ok bool) {
	for i := range r.fields {
		if int(r.fields[i].name) == name {
			return r.fields[i], true
		}
	}
	return field{}, false
}

// facts are what a request and the header of its answer say.
type facts struct {
	header      bool // the header of the request is known, with its credentials
	cookie      bool
	conditional bool
	private     bool
	noStore     bool
	varies      bool // by cookies or credentials
	stream      bool
	parker      bool // parker has handled the request
	coarse      bool // the time is in steps that are longer than most answers take
}

func factsOf(o *Observation) facts {
	it := facts{
		header:      o.Request != nil && !isRedacted(o.Request["Cookie"]) && !isRedacted(o.Request["Authorization"]),
		cookie:      len(o.Request["Cookie"]) > 0,
		conditional: len(o.Request["If-None-Match"])+len(o.Request["If-Modified-Since"]) > 0,
		coarse:      o.Step >= 100*time.Millisecond,
		parker:      len(o.Answer["Parker-Status"]) > 0,
		stream:      hasPrefixFold(o.Answer.Get("Content-Type"), "text/event-stream"),
	}
	for _, line := range o.Answer["Cache-Control"] {
		line = strings.ToLower(line)
		it.private = it.private || strings.Contains(line, "private")
		it.noStore = it.noStore || strings.Contains(line, "no-store")
	}
	for _, line := range o.Answer["Vary"] {
		line = strings.ToLower(line)
		it.varies = it.varies || strings.Contains(line, "cookie") || strings.Contains(line, "authorization") || strings.Contains(line, "*")
	}
	return it
}

// isRedacted reports whether a log has something else in place of a secret. What says who has
// sent a request has an equals sign or a scheme.
func isRedacted(logged []string) bool { return slices.Contains(logged, "REDACTED") }

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

func hasNoBody(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
