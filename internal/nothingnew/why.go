package nothingnew

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// WhyNews returns for a debug line why an answer is news, such as "no rule matches" or
// "unchanged: the request has no If-None-Match". The arguments are those of Met. If Met
// is true, it returns "". It quotes neither bodies nor values of fields, except the name
// of an unknown content coding.
func (r *Rules) WhyNews(request http.Header, status int, header http.Header, body []byte) string {
	switch {
	case r.Met(request, status, header, body):
		return ""
	case eventstream.Is(header):
		return "it is an event stream"
	case int64(len(body)) > r.maxBody:
		return fmt.Sprintf("the body is longer than %d bytes", r.maxBody)
	}
	var reasons []string
	if len(r.Status)+len(r.Header)+len(r.All) > 0 || r.looksAtBody() {
		reasons = append(reasons, r.whyNotMet(status, header, body))
	}
	if r.Unchanged != nil {
		reasons = append(reasons, "unchanged: "+r.whyChanged(request, status, header))
	}
	return strings.Join(reasons, "; ")
}

// whyNotMet returns why an answer matches no rule, not considering Unchanged.
func (r *Rules) whyNotMet(status int, header http.Header, body []byte) string {
	const none = "no rule matches"
	inAll := slices.ContainsFunc(r.All, func(lines []Rules) bool {
		return slices.ContainsFunc(lines, func(line Rules) bool { return line.looksAtBody() })
	})
	switch {
	case !r.looksAtBody() && !inAll:
		return none
	case !isSuccessful(status) && !inAll:
		return fmt.Sprintf("%s, and bodies of answers with status %d are not checked", none, status)
	}
	if _, err := Decode(header, body, r.maxBody); err != nil {
		return fmt.Sprintf("%s, and the body cannot be decoded: %v", none, err)
	}
	return none
}

// whyChanged returns why the client is not known to have the answer.
func (r *Rules) whyChanged(request http.Header, status int, header http.Header) string {
	etag := header.Get("ETag")
	_, byTag := request["If-None-Match"]
	since := request.Get("If-Modified-Since")
	switch {
	case !r.compares(status):
		return fmt.Sprintf("answers with status %d are not compared", status)
	case byTag && etag == "":
		return "the request has If-None-Match, but the answer has no ETag"
	case byTag:
		return "If-None-Match does not contain the answer's ETag"
	case etag != "":
		return "the request has no If-None-Match"
	case !isDate(header.Get("Last-Modified")):
		return "the answer has neither an ETag nor a date in Last-Modified"
	case since == "":
		return "the request has neither If-None-Match nor If-Modified-Since"
	case !isDate(since):
		return "If-Modified-Since is not an HTTP date"
	}
	return "the answer is newer than If-Modified-Since"
}
