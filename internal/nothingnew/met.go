package nothingnew

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// whiteSpace is what is trimmed off both ends of a body, whose charset is
// unknown: ASCII's.
const whiteSpace = " \t\n\v\f\r"

// byteOrderMark is UTF-8's. Some editors put it at the start of a file, and a page that
// is made of several such files begins with several.
var byteOrderMark = []byte("\ufeff")

// trim takes white space off both ends of a body, and byte order marks off its start.
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

// skipSpace is bytes.TrimLeft with whiteSpace, which takes several times as long.
func skipSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || '\t' <= text[0] && text[0] <= '\r') {
		text = text[1:]
	}
	return text
}

// Possible tells whether an answer with this header, whose body starts like
// this, may still turn out to meet a rule or to need a Tag once it is whole. If
// not, it is news and can be passed on at once. start is all of the body that
// is there, and may be empty.
func (r *Rules) Possible(status int, header http.Header, start []byte) bool {
	length, known := contentLength(status, header)
	switch {
	case IsEventStream(header), int64(len(start)) > r.maxBody, known && length > r.maxBody:
		return false
	case r.metByHeader(status, header), r.Unchanged != nil && status == http.StatusOK:
		return true
	case !isSuccessful(status):
		return false
	}
	if len(header["Content-Encoding"]) > 0 {
		if names := codings(header); len(names) > 0 {
			return r.looksAtBody() && decodable(names)
		}
	}
	if len(r.patterns) > 0 {
		return true
	}
	start = trimStart(start)
	if bytes.HasPrefix(byteOrderMark, start) {
		start = nil // the mark is not all there
	}
	if len(r.members) > 0 && mayStartJSON(start) {
		return true
	}
	for i := range r.literals {
		if l := &r.literals[i]; (!known || l.least <= length) && l.mayBecome(start) {
			return true
		}
	}
	return false
}

// Met tells whether an answer, now whole, says that there is nothing new for
// this request. Of the request it looks at the conditions only, as the client
// sent them. With Unchanged, header must have the Tag already.
func (r *Rules) Met(request http.Header, status int, header http.Header, body []byte) bool {
	switch {
	case IsEventStream(header), int64(len(body)) > r.maxBody:
		return false
	case r.metByHeader(status, header):
		return true
	case r.Unchanged != nil && status == http.StatusOK && clientHas(request, header):
		return true
	}
	return isSuccessful(status) && r.looksAtBody() && r.metByBody(header, body)
}

// metByHeader tells whether status or header alone meet a rule.
func (r *Rules) metByHeader(status int, header http.Header) bool {
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

// metByBody tells whether the body meets a rule. A body that cannot be decoded
// meets none.
func (r *Rules) metByBody(header http.Header, body []byte) bool {
	text, err := Decode(header, body, r.maxBody)
	if err != nil {
		return false
	}
	b := content{text: trim(text)}
	for i := range r.literals {
		if r.literals[i].met(&b) {
			return true
		}
	}
	for _, pattern := range r.patterns {
		if pattern.Match(b.text) {
			return true
		}
	}
	if len(r.members) == 0 {
		return false
	}
	document, ok := b.json()
	return ok && slices.ContainsFunc(r.members, func(m member) bool { return m.met(document) })
}

// content is a body without its content codings, and trimmed. It is parsed once, when a
// rule needs it.
type content struct {
	text     []byte
	parsed   bool
	isJSON   bool
	document any
}

// json is the body as JSON, if it is that.
func (b *content) json() (document any, ok bool) {
	if !b.parsed && mayStartJSON(b.text) {
		var err error
		b.document, err = parseJSON(b.text)
		b.isJSON = err == nil
	}
	b.parsed = true
	return b.document, b.isJSON
}

// looksAtBody tells whether any rule is about the body.
func (r *Rules) looksAtBody() bool {
	return len(r.literals)+len(r.members)+len(r.patterns) > 0
}

// isSuccessful tells whether the body is the whole of what was asked for: an
// empty redirect or error says nothing about news.
func isSuccessful(status int) bool {
	return status/100 == 2 && status != http.StatusPartialContent
}

// IsEventStream tells whether an answer with this header is one.
func IsEventStream(header http.Header) bool {
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// contentLength is how long the body will be, as sent. In a 304 answer the field
// tells the length that a 200 answer would have (RFC 9110, 8.6).
func contentLength(status int, header http.Header) (length int64, known bool) {
	text := header.Get("Content-Length")
	if text == "" || status == http.StatusNotModified {
		return 0, false
	}
	parsed, err := strconv.ParseUint(text, 10, 63)
	return int64(parsed), err == nil
}
