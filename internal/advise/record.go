package advise

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

const (
	maxText         = 4 << 10  // of an answer whose text is kept
	maxParsed       = 64 << 10 // of an answer whose members are looked at
	maxRouteTexts   = 24
	maxRouteAnswers = 256
)

// record is what is kept of an observation.
type record struct {
	begun  int64 // nanoseconds since 1970
	took   time.Duration
	client uint64
	fields []field
	answer *answer
	facts  facts
}

func (r *record) end() int64 { return r.begun + int64(r.took) }

// field returns the value of a field of a request.
func (r *record) field(name fieldName) (value string, ok bool) {
	for _, f := range r.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

// answer is what is kept of the answers to a route that are equal.
type answer struct {
	status  int
	sum     uint64
	known   bool // the body is known, at least its digest
	length  int64
	text    string // trimmed, if it is short and there is room
	members []member
}

// facts are what a request and the header of its answer say.
type facts struct {
	header      bool // the header of the request is known
	cookie      bool
	conditional bool
	setCookie   bool
	noStore     bool
	varies      bool // by cookies or credentials
	stream      bool
}

func factsOf(o *Observation) facts {
	control := strings.ToLower(strings.Join(o.Answer["Cache-Control"], ","))
	vary := strings.ToLower(strings.Join(o.Answer["Vary"], ","))
	return facts{
		header:      o.Request != nil,
		cookie:      len(o.Request["Cookie"]) > 0,
		conditional: len(o.Request["If-None-Match"])+len(o.Request["If-Modified-Since"]) > 0,
		setCookie:   len(o.Answer["Set-Cookie"]) > 0,
		noStore:     strings.Contains(control, "no-store") || strings.Contains(control, "private"),
		varies:      strings.Contains(vary, "cookie") || strings.Contains(vary, "authorization") || vary == "*",
		stream:      strings.HasPrefix(strings.ToLower(o.Answer.Get("Content-Type")), "text/event-stream"),
	}
}

// answerOf returns the answer of an observation. Answers that are equal are kept once.
func (a *Analysis) answerOf(r *route, o *Observation) *answer {
	sum := a.sumOf(o)
	if known := r.answers[sum]; known != nil {
		return known
	}
	it := &answer{status: o.Status, sum: sum, known: o.Length >= 0 || hasNoBody(o.Status), length: o.Length}
	if o.Length < 0 && it.known {
		it.length = 0
	}
	text := bytes.TrimSpace(o.Text)
	if len(text) <= maxText && len(text) > 0 && r.textCount < maxRouteTexts && a.texts+len(text) <= maxTexts {
		it.text = string(text)
		r.textCount++
		r.texts += len(text)
		a.texts += len(text)
	}
	if len(text) > 0 && len(text) <= maxParsed && (text[0] == '{' || text[0] == '[') {
		if document, err := jsonvalue.Parse(text); err == nil {
			it.members = membersOf(a.seed, document)
		}
	}
	if len(r.answers) >= maxRouteAnswers {
		clear(r.answers)
	}
	r.answers[sum] = it
	return it
}

func hasNoBody(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// sumOf returns a digest of the status and the body. Where the body is not known, it is of
// the length that the answer has declared.
func (a *Analysis) sumOf(o *Observation) uint64 {
	var hash maphash.Hash
	hash.SetSeed(a.seed)
	hash.WriteByte(byte(o.Status))
	hash.WriteByte(byte(o.Status >> 8))
	switch {
	case hasNoBody(o.Status):
	case o.Length >= 0:
		hash.WriteString(o.Sum)
	default:
		hash.WriteString(o.Answer.Get("Content-Length"))
	}
	return hash.Sum64()
}

// canonical returns a digest of an answer without the members that change by themselves.
func (it *answer) canonical(except map[string]bool) uint64 {
	if len(except) == 0 || it.members == nil {
		return it.sum
	}
	sum := uint64(it.status)
	for _, m := range it.members {
		if !except[m.pointer] {
			sum = mix(sum, m.sum^m.name)
		}
	}
	return sum
}

// member returns the member that a pointer names.
func (it *answer) member(pointer string) (m member, ok bool) {
	i := slices.IndexFunc(it.members, func(m member) bool { return m.pointer == pointer })
	if i < 0 {
		return member{}, false
	}
	return it.members[i], true
}

// isDefault reports whether parker holds the answer if it is told nothing else.
func (it *answer) isDefault() bool {
	if hasNoBody(it.status) {
		return true
	}
	if it.status < 200 || it.status > 299 || !it.known {
		return false
	}
	switch it.text {
	case "[]", "{}", "null":
		return true
	}
	return it.length == 0
}

func (it *answer) succeeded() bool { return it.status >= 200 && it.status < 300 || it.status == 304 }
