package nothingnew

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// CallBody is RequestBody for requests that share answers: only of a body that is one JSON
// object are parts left out. The answer to one such request serves another one by [Rules.AnswerFor].
func (r *Rules) CallBody(header http.Header, body []byte) []byte {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'{'}) {
		if rest, ok := r.callBody(header, body); ok {
			return rest
		}
	}
	return body
}

func (r *Rules) callBody(header http.Header, body []byte) (rest []byte, ok bool) {
	if len(r.except) == 0 || len(codings(header)) > 0 {
		return nil, false
	}
	if start := trimStart(body); !bytes.HasPrefix(start, []byte{'{'}) && !bytes.HasPrefix(start, []byte{'['}) {
		return nil, false
	}
	return r.withoutExcepted(body)
}

// AnswerFor returns the body of the answer to a call as it would be for another one, which
// differs only in parts in Except: such as the id of JSON-RPC, which the answer repeats at
// the same place. The body that it returns has no content coding. from and to are the bodies of
// the two requests. ok is false if the answer does not repeat what differs, or may contain it
// elsewhere, too.
func (r *Rules) AnswerFor(header http.Header, answer, from, to []byte) (body []byte, ok bool) {
	answer, err := Decode(header, answer, r.maxBody)
	if err != nil || describesBytes(header) {
		return nil, false
	}
	for _, p := range r.except {
		old, was := valueAt(p, from)
		new, is := valueAt(p, to)
		if !was && !is || was && is && bytes.Equal(old.value, new.value) {
			continue
		}
		repeated, ok := repeatedAt(p, old, answer, header)
		if !was || !is || !ok || !isScalar(new.value) {
			return nil, false
		}
		from, answer = old.replacedBy(new.value), repeated.replacedBy(new.value)
	}
	return answer, bytes.Equal(from, to)
}

// Repeats reports whether the answer to a call repeats, at the same place, all in which the
// call differs from another one. from and other are the bodies of the two requests.
func (r *Rules) Repeats(header http.Header, answer, from, other []byte) bool {
	answer, err := Decode(header, answer, r.maxBody)
	if err != nil || describesBytes(header) {
		return false
	}
	for _, p := range r.except {
		old, was := valueAt(p, from)
		if new, is := valueAt(p, other); !was || is && bytes.Equal(old.value, new.value) {
			continue
		}
		if _, ok := repeatedAt(p, old, answer, header); !ok {
			return false
		}
	}
	return true
}

// repeatedAt returns where an answer repeats what is at the same place in its call. ok is
// false if it does not, or may contain it elsewhere, too.
func repeatedAt(p jsonvalue.Pointer, called place, answer []byte, header http.Header) (at place, ok bool) {
	at, ok = valueAt(p, answer)
	return at, ok && isScalar(called.value) && bytes.Equal(at.value, called.value) && !at.isElsewhere(header)
}

// place is where a value is in a text.
type place struct {
	before, value, after []byte
}

func valueAt(p jsonvalue.Pointer, text []byte) (at place, ok bool) {
	start, end, ok := p.Span(text)
	if !ok {
		return at, false
	}
	return place{text[:start], text[start:end], text[end:]}, true
}

// replacedBy returns a copy of the text with another value.
func (at place) replacedBy(value []byte) []byte { return slices.Concat(at.before, value, at.after) }

func isScalar(value []byte) bool { return len(value) > 0 && value[0] != '{' && value[0] != '[' }

// isElsewhere reports whether a string is elsewhere in an answer, too. Numbers may be there by
// chance.
func (at place) isElsewhere(header http.Header) bool {
	if at.value[0] != '"' || len(at.value) <= len(`""`) {
		return false
	}
	text := at.value[1 : len(at.value)-1]
	for _, lines := range header {
		if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, string(text)) }) {
			return true
		}
	}
	return bytes.Contains(at.before, text) || bytes.Contains(at.after, text)
}

// describesBytes reports whether fields describe the bytes of the body, so that it cannot be
// changed (RFC 9110, section 8.8; RFC 9530).
func describesBytes(header http.Header) bool {
	for name, lines := range header {
		switch name {
		case "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Content-Range":
			return true
		case "Etag":
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "W/"+ownTag) {
				return true
			}
		}
	}
	return false
}
