package nothingnew

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
)

// Tag is the ETag to give to an answer: with Unchanged, to a successful one that has
// no validator of its own and a body to compare. For any other it is "".
//
// The tag stands for the decoded bytes and the names of the content codings, so
// that it stays the same where compressing twice gives different bytes. Where
// members of a JSON body are excepted it stands for the rest of the document,
// and is weak, because then equal tags do not promise equal bytes (RFC 9110,
// 8.8.1).
func (r *Rules) Tag(status int, header http.Header, body []byte) string {
	if !r.compares(status) || IsEventStream(header) || header.Get("ETag") != "" || isDate(header.Get("Last-Modified")) {
		return ""
	}
	return r.tagOf(header, body)
}

// tagOf is the tag for an answer, whatever validators it has.
func (r *Rules) tagOf(header http.Header, body []byte) string {
	weak := ""
	if decoded, err := Decode(header, body, r.maxBody); err == nil {
		body = decoded
		if rest, ok := r.withoutExcepted(decoded); ok {
			body, weak = rest, "W/"
		}
	}
	hash := sha256.New()
	io.WriteString(hash, strings.Join(codings(header), ",")+"\x00")
	hash.Write(body)
	return weak + ownTag + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// Differ reports whether an answer that is nothing new by its date alone has another
// body than the one before it: within the second of a Last-Modified a body may change
// again (RFC 9110, 8.8.2.2).
func (r *Rules) Differ(status int, header http.Header, body []byte, before http.Header, bodyBefore []byte) bool {
	return r.compares(status) && header.Get("ETag") == "" && !r.Met(nil, status, header, body) &&
		r.tagOf(header, body) != r.tagOf(before, bodyBefore)
}

// compares reports whether answers with this status are compared with what the client
// has: those with a body that is the whole of what was asked for (RFC 9110, 15.3).
func (r *Rules) compares(status int) bool {
	return r.Unchanged != nil && isSuccessful(status) && status != http.StatusNoContent && status != http.StatusResetContent
}

// isDate reports whether a field's value is a date, without which it is no validator. Some
// backends write a zone such as +0000 in place of GMT (RFC 9110, 5.6.7 and 8.8.2).
func isDate(value string) bool {
	_, err := http.ParseTime(value)
	return err == nil
}

// withoutExcepted is a JSON document without the excepted members, encoded in
// one canonical way.
func (r *Rules) withoutExcepted(text []byte) (rest []byte, ok bool) {
	if len(r.except) == 0 {
		return nil, false
	}
	document, err := parseJSON(trim(text))
	if err != nil {
		return nil, false
	}
	for _, p := range r.except {
		p.remove(document)
	}
	return canonicalJSON(document)
}

// Unmodified reports whether the client has the answer already, going by the
// conditions of its request and the validators of the answer.
func (r *Rules) Unmodified(request, header http.Header) bool { return clientHas(request, header) }

// clientHas reports whether the request's conditions name the answer: by its ETag
// (RFC 9110, 13.1.2), or where neither side has one, by its date (13.1.3).
func clientHas(request, header http.Header) bool {
	etag := header.Get("ETag")
	if lines, ok := request["If-None-Match"]; ok {
		return namesTag(lines, etag)
	}
	if etag != "" {
		return false
	}
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		return false
	}
	since, err := http.ParseTime(request.Get("If-Modified-Since"))
	return err == nil && !modified.After(since)
}

// namesTag reports whether the lines of an If-None-Match field name the tag, by
// weak comparison (RFC 9110, 8.8.3.2). The * is ignored: it names no answer
// that the client has.
func namesTag(lines []string, etag string) bool {
	etag = unmarked(strings.TrimPrefix(etag, "W/"))
	if etag == "" || etag == "*" {
		return false
	}
	for _, line := range lines {
		for line = strings.TrimLeft(line, ", \t"); line != ""; line = strings.TrimLeft(line, ", \t") {
			var tag string
			if tag, line = cutTag(line); unmarked(tag) == etag {
				return true
			}
		}
	}
	return false
}

// The tags that Tag makes start like this, and have so many characters with their
// quotes.
const (
	ownTag       = `"parker-`
	ownTagLength = len(ownTag) + 22 + len(`"`)
)

// unmarked is a tag that Tag has made without what servers on the way to the client put
// behind it, such as -gzip in Apache, to mark that they have compressed the answer. Any
// other tag is returned as it is.
func unmarked(tag string) string {
	if len(tag) <= ownTagLength || !strings.HasPrefix(tag, ownTag) || !strings.HasSuffix(tag, `"`) {
		return tag
	}
	own := tag[:ownTagLength-1]
	if _, err := base64.RawURLEncoding.Strict().DecodeString(own[len(ownTag):]); err != nil {
		return tag
	}
	return own + `"`
}

// cutTag takes the first tag off a list, without the mark of a weak one. Unlike
// in a quoted string, a backslash in a tag means itself. Tags that lack their
// quotes, as some backends make them, end at the comma.
func cutTag(list string) (tag, rest string) {
	list = strings.TrimPrefix(list, "W/")
	if strings.HasPrefix(list, `"`) {
		if end := strings.IndexByte(list[1:], '"'); end >= 0 {
			return list[:end+2], list[end+2:]
		}
	}
	tag, rest, _ = strings.Cut(list, ",")
	return strings.TrimRight(tag, " \t"), rest
}
