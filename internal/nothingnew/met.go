package nothingnew

import (
	"bytes"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// whiteSpace is the white space that is removed from both ends of a body. It is ASCII
// only, because the charset of the body is unknown.
const whiteSpace = " \t\n\v\f\r"

// byteOrderMark is the byte order mark in UTF-8. Some editors write it at the start of a
// file, and a page that is built from several such files starts with several of them.
var byteOrderMark = []byte("\ufeff")

// trim removes white space from both ends of a body, and byte order marks from its start.
func trim(body []byte) []byte { return bytes.TrimRight(trimStart(body), whiteSpace) }

func trimStart(body []byte) []byte {
	for {
		rest, marked := bytes.CutPrefix(skipSpace(body), byteOrderMark)
		if !marked {
			return rest
		}
		body = rest
	}
}

// skipSpace does the same as bytes.TrimLeft with whiteSpace, but several times faster.
func skipSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || '\t' <= text[0] && text[0] <= '\r') {
		text = text[1:]
	}
	return text
}

// Possible reports whether an answer may match a rule, or need a Tag, once it is
// complete. If not, it is news and can be passed on at once. start is the part of the
// body that has arrived so far. It may be empty.
func (r *Rules) Possible(status int, header http.Header, start []byte) bool {
	b := beginning{status: status, header: header, start: start, length: contentLength(status, header)}
	switch {
	case eventstream.Is(header), int64(len(start)) > r.maxBody, b.length > r.maxBody && b.length != unknown:
		return false
	case r.compares(status):
		return true
	}
	b.prepare()
	return r.possible(&b, isSuccessful(status))
}

// beginning is an answer whose body may be incomplete.
type beginning struct {
	status int
	header http.Header
	length int64  // the size of the complete body as sent, or unknown
	start  []byte // the start of the body, trimmed unless it has content codings

	encoded   bool // the body has content codings
	decodable bool // all of them can be decoded
}

func (b *beginning) prepare() {
	if len(b.header["Content-Encoding"]) > 0 {
		names := codings(b.header)
		b.encoded, b.decodable = len(names) > 0, decodable(names)
	}
	if b.encoded {
		return
	}
	b.start = trimStart(b.start)
	if bytes.HasPrefix(byteOrderMark, b.start) {
		b.start = nil // the byte order mark is incomplete
	}
}

// possible reports whether an answer with this beginning may match a rule. Rules about
// the body count only if looks is true.
func (r *Rules) possible(b *beginning, looks bool) bool {
	if r.metByHeader(b.status, b.header) || looks && r.possibleByBody(b) {
		return true
	}
	return slices.ContainsFunc(r.All, func(lines []Rules) bool {
		return eachLine(lines, looks, func(line *Rules, looks bool) bool { return line.possible(b, looks) })
	})
}

func (r *Rules) possibleByBody(b *beginning) bool {
	switch {
	case b.encoded:
		return b.decodable && r.looksAtBody()
	case len(r.patterns) > 0, len(r.members) > 0 && jsonvalue.MayStart(b.start):
		return true
	}
	for i := range r.literals {
		if l := &r.literals[i]; l.least <= b.length && l.mayBecome(b.start) {
			return true
		}
	}
	return false
}

// Met reports whether a complete answer means that there is nothing new for a request.
// request is the request's header as the client sent it; only the fields of conditional
// requests are used. With Unchanged, header must already contain the Tag.
func (r *Rules) Met(request http.Header, status int, header http.Header, body []byte) bool {
	switch {
	case eventstream.Is(header), int64(len(body)) > r.maxBody:
		return false
	case r.compares(status) && clientHas(request, header):
		return true
	}
	return r.met(&answer{status: status, header: header, body: body, limit: r.maxBody}, isSuccessful(status))
}

// met reports whether an answer matches a rule. Rules about the body count only if looks
// is true.
func (r *Rules) met(a *answer, looks bool) bool {
	if r.metByHeader(a.status, a.header) || looks && r.looksAtBody() && r.metByBody(a) {
		return true
	}
	return slices.ContainsFunc(r.All, func(lines []Rules) bool {
		return eachLine(lines, looks, func(line *Rules, looks bool) bool { return line.met(a, looks) })
	})
}

// eachLine reports whether holds is true for each line of a block. If a line is about the
// status, rules about the body count for any status.
func eachLine(lines []Rules, looks bool, holds func(line *Rules, looks bool) bool) bool {
	for i := range lines {
		looks = looks || len(lines[i].Status) > 0
	}
	for i := range lines {
		if !holds(&lines[i], looks) {
			return false
		}
	}
	return true
}

// metByHeader reports whether the status or the header alone matches a rule.
func (r *Rules) metByHeader(status int, header http.Header) bool {
	if r.Unchanged != nil && status == http.StatusNotModified {
		return true // the backend has compared the answers
	}
	for _, configured := range r.Status {
		if caddyhttp.StatusCodeMatches(status, configured) {
			return true
		}
	}
	for _, matcher := range r.headers {
		if matcher.Match(status, header) {
			return true
		}
	}
	return false
}

// metByBody reports whether the body matches a rule. A body that cannot be decoded does
// not match.
func (r *Rules) metByBody(a *answer) bool {
	if a.decode() != nil {
		return false
	}
	for i := range r.literals {
		if r.literals[i].met(a) {
			return true
		}
	}
	for _, pattern := range r.patterns {
		if pattern.Match(a.text) {
			return true
		}
	}
	if len(r.members) == 0 {
		return false
	}
	document, ok := a.json()
	return ok && slices.ContainsFunc(r.members, func(m jsonvalue.Condition) bool { return m.Met(document, jsonvalue.IsNothing) })
}

// looksAtBody reports whether any rule is about the body.
func (r *Rules) looksAtBody() bool {
	return len(r.literals)+len(r.members)+len(r.patterns) > 0
}

// isSuccessful reports whether the body is the whole of the requested resource. The body
// of a redirect or an error, even if empty, says nothing about news.
func isSuccessful(status int) bool {
	return status/100 == 2 && status != http.StatusPartialContent
}

// unknown is the length of a body if the header does not contain it.
const unknown = math.MaxInt64

// contentLength returns the length of the body as sent, or unknown. A 304 answer has no
// body: there the field contains the length that a 200 answer would have (RFC 9110, 8.6).
func contentLength(status int, header http.Header) int64 {
	text := header.Get("Content-Length")
	if text == "" || status == http.StatusNotModified {
		return unknown
	}
	length, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return unknown
	}
	return int64(length)
}
