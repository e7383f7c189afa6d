package advise

import (
	"bytes"
	"hash/maphash"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

const (
	maxText         = 4 << 10  // of an answer whose text is kept
	maxParsed       = 64 << 10 // of an answer whose members are looked at
	maxRouteTexts   = 24
	maxRouteAnswers = 512
)

// answer is what is kept of the answers to a route that are equal.
type answer struct {
	status  int
	sum     uint64
	known   bool // the body is known, at least its digest
	logged  bool // only the length of the body is known, as a log counts it
	length  int64
	text    string   // trimmed, if it is short and there is room
	members []member // in the order of their pointers
}

// answerOf returns the answer of an observation. Answers that are equal are kept once.
func (r *route) answerOf(o *Observation) *answer {
	sum := r.sumOf(o)
	if known := r.answers[sum]; known != nil {
		return known
	}
	it := &answer{status: o.Status, sum: sum, known: o.Length >= 0 || hasNoBody(o.Status), length: o.Length}
	switch {
	case hasNoBody(o.Status):
		it.length = 0
	case o.Logged && o.Length < 0:
		it.logged, it.length = true, o.Sent
	}
	text := bytes.TrimSpace(o.Text)
	if len(text) <= maxText && len(text) > 0 && r.textCount < maxRouteTexts {
		it.text = string(text)
	}
	if len(text) > 0 && len(text) <= maxParsed && (text[0] == '{' || text[0] == '[') {
		if document, err := jsonvalue.Parse(text); err == nil {
			it.members = r.membersOf(document, o.Begun)
		}
	}
	if len(r.answers) >= maxRouteAnswers {
		clear(r.answers)
	}
	return r.noteAnswer(it)
}

// noteAnswer makes an answer known to a route, and returns the one that is kept.
func (r *route) noteAnswer(it *answer) *answer {
	if known := r.answers[it.sum]; known != nil {
		return known
	}
	if r.answers == nil {
		r.answers = make(map[uint64]*answer)
	}
	r.answers[it.sum] = it
	r.bytes += answerBytes + len(it.text) + len(it.members)*memberBytes
	if it.text != "" {
		r.textCount++
	}
	return it
}

// sumOf returns a digest of the status and the body. Where the body is not known, it is of
// the validator or the length that was logged, or of the length that the answer has declared.
func (r *route) sumOf(o *Observation) uint64 {
	sum := mix(1, uint64(o.Status))
	switch {
	case hasNoBody(o.Status):
	case o.Length >= 0:
		sum = mix(sum, maphash.String(r.seed, o.Sum))
	case o.Logged && o.Answer.Get("Etag") != "":
		sum = mix(sum, maphash.String(r.seed, o.Answer.Get("Etag")))
	case o.Logged:
		sum = mix(sum, uint64(o.Sent))
	default:
		sum = mix(sum, maphash.String(r.seed, o.Answer.Get("Content-Length")))
	}
	return sum
}

// member returns the member with a pointer, by its place in the table of the route.
func (it *answer) member(pointer int) (m member, ok bool) {
	for i := range it.members {
		if int(it.members[i].pointer) == pointer {
			return it.members[i], true
		}
	}
	return member{}, false
}

// isDefault reports whether parker holds the answer if it is told nothing else.
func (it *answer) isDefault() bool {
	if hasNoBody(it.status) {
		return true
	}
	if it.status < 200 || it.status > 299 || !it.known && !it.logged {
		return false
	}
	if it.seemsEmpty() {
		return true
	}
	switch it.text {
	case "[]", "{}", "null":
		return true
	}
	return it.length == 0
}

// seemsEmpty reports whether the body is not known, but as short as [] or {}, with or without
// a line break after it. It could also be a word such as ok: parker looks at the body itself,
// and holds no other.
func (it *answer) seemsEmpty() bool { return it.logged && (it.length == 2 || it.length == 3) }

func (it *answer) succeeded() bool { return it.status >= 200 && it.status < 300 || it.status == 304 }
