package advise

import (
	"bytes"
	"hash/maphash"
	"strconv"

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
	case o.Length < 0:
		it.length = lengthSent(o)
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

// lengthSent returns the length of a body that is not known.
func lengthSent(o *Observation) int64 {
	if length, err := strconv.ParseInt(o.Answer.Get("Content-Length"), 10, 64); err == nil {
		return length
	}
	return o.Sent
}

// sumOf returns a digest of the status and the body. Where the body is not known, it is of
// its length.
func (r *route) sumOf(o *Observation) uint64 {
	sum := mix(1, uint64(o.Status))
	switch {
	case hasNoBody(o.Status):
	case o.Length >= 0:
		sum = mix(sum, maphash.String(r.seed, o.Sum))
	default:
		sum = mix(sum, uint64(lengthSent(o)))
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

// maxShort is the length of the longest body that parker holds by default: null and a line
// break.
const maxShort = 5

// isDefault reports whether parker holds the answer if it is told nothing else. A body that is
// not known is assumed to be one of these if it is as short.
func (it *answer) isDefault() bool {
	if hasNoBody(it.status) {
		return true
	}
	if it.status < 200 || it.status > 299 {
		return false
	}
	if !it.known {
		return it.length <= maxShort
	}
	switch it.text {
	case "[]", "{}", "null":
		return true
	}
	return it.length == 0
}

func (it *answer) succeeded() bool { return it.status >= 200 && it.status < 300 || it.status == 304 }
