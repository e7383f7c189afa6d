package nothingnew

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// Tag returns an ETag for an answer, if Unchanged is set and the answer is successful,
// has a body to compare, and has no validator of its own. Otherwise it returns "".
//
// The tag is a hash of the decoded body and the names of the content codings, so that it
// does not change if the same body is compressed to different bytes. If Except removes
// parts of a JSON body, the tag is a hash of the rest, and it is weak, because equal tags
// then do not mean equal bytes (RFC 9110, 8.8.1).
func (r *Rules) Tag(status int, header http.Header, body []byte) string {
	if !r.compares(status) || eventstream.Is(header) || header.Get("ETag") != "" || isDate(header.Get("Last-Modified")) {
		return ""
	}
	return r.tagOf(header, body)
}

// Digest returns a digest of what is compared of an answer: its status, its type, the fields
// that make the page do something, and its body without the parts in Except. ok is false if answers such as this one are not compared.
func (r *Rules) Digest(status int, header http.Header, body []byte) (digest [16]byte, ok bool) {
	if !r.compares(status) || eventstream.Is(header) || int64(len(body)) > r.maxBody {
		return digest, false
	}
	form := []string{strconv.Itoa(status), header.Get("Content-Type")}
	for name, lines := range header {
		if isCommand(name) {
			form = append(form, name+": "+strings.Join(lines, "\n"))
		}
	}
	slices.Sort(form)
	sum, _ := r.sum(header, body, strings.Join(form, "\x00"))
	return [16]byte(sum[:16]), true
}

// isCommand reports whether a field makes a page do something, beside what it does with the
// body.
func isCommand(name string) bool {
	switch name {
	case "Location", "Refresh", "Clear-Site-Data", "X-Redirect", "X-Location", "Turbo-Location", "Turbo-Visit-Control", "X-Pjax-Url":
		return true
	}
	return strings.HasPrefix(name, "Hx-") || strings.HasPrefix(name, "X-Up-")
}

// tagOf returns the tag of an answer, even if it has its own validators.
func (r *Rules) tagOf(header http.Header, body []byte) string {
	sum, weak := r.sum(header, body, strings.Join(codings(header), ","))
	tag := ownTag + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	if weak {
		return "W/" + tag
	}
	return tag
}

// sum returns a digest of an answer's decoded body and of a form of it. weak is true if the
// digest leaves out the parts in Except.
func (r *Rules) sum(header http.Header, body []byte, form string) (sum []byte, weak bool) {
	if decoded, err := Decode(header, body, r.maxBody); err == nil {
		body = decoded
		if rest, ok := r.withoutExcepted(decoded); ok {
			body, weak = rest, true
		}
	}
	hash := sha256.New()
	io.WriteString(hash, form+"\x00")
	hash.Write(body)
	return hash.Sum(nil), weak
}

// Differ reports whether an answer that is nothing new only by its date has another body
// than the answer before it. A body may change more than once in the second of its
// Last-Modified (RFC 9110, 8.8.2.2).
func (r *Rules) Differ(status int, header http.Header, body []byte, before http.Header, bodyBefore []byte) bool {
	return r.compares(status) && header.Get("ETag") == "" && !r.Met(nil, status, header, body) &&
		r.tagOf(header, body) != r.tagOf(before, bodyBefore)
}

// compares reports whether answers with this status are compared with the answer that
// the client has. Their body must be the whole of the requested resource (RFC 9110,
// 15.3).
func (r *Rules) compares(status int) bool {
	return r.Unchanged != nil && isSuccessful(status) && status != http.StatusNoContent && status != http.StatusResetContent
}

// isDate reports whether the value of a field is a valid HTTP date. Some backends write a
// zone such as +0000 instead of GMT, which is not valid (RFC 9110, 5.6.7 and 8.8.2).
func isDate(value string) bool {
	_, err := http.ParseTime(value)
	return err == nil
}

// withoutExcepted returns the canonical encoding of a JSON document without the parts in
// Except. ok is false if Except is empty or the text cannot be encoded so.
func (r *Rules) withoutExcepted(text []byte) (rest []byte, ok bool) {
	if len(r.except) == 0 {
		return nil, false
	}
	document, err := jsonvalue.Parse(trim(text))
	if err != nil {
		return nil, false
	}
	for _, p := range r.except {
		p.Remove(document)
	}
	return jsonvalue.Canonical(document)
}

// Unmodified reports whether the client already has the answer, according to the
// conditional fields of its request and the validators of the answer.
func (r *Rules) Unmodified(request, header http.Header) bool { return clientHas(request, header) }

// clientHas reports whether the conditional fields of a request match the answer: by its
// ETag (RFC 9110, 13.1.2), or by its date if neither has an ETag (13.1.3).
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

// namesTag reports whether the lines of an If-None-Match field contain the tag, by weak
// comparison (RFC 9110, 8.8.3.2). A * is ignored, because it does not say that the client
// has an answer.
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

// The start of the tags that Tag returns, and their length with the quotes.
const (
	ownTag       = `"parker-`
	ownTagLength = len(ownTag) + 22 + len(`"`)
)

// unmarked removes from a tag of [Rules.Tag] the suffix that servers in front add when
// they compress the answer, such as -gzip by Apache. Any other tag is returned unchanged.
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

// cutTag removes the first tag from a list and returns it without the prefix of weak
// tags. In contrast to quoted strings, a backslash in a tag does not escape anything. A
// tag without quotes, as some backends write them, ends at the next comma.
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
