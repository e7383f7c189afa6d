package coalesce

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Target is all of a request's URL that can contain a query: as the client sent it, and as
// it is after rewrites.
type Target struct {
	Original   string // the RequestURI that came to the server
	RequestURI string
	RawQuery   string
}

// TargetOf returns the target of a request.
func TargetOf(r *http.Request) Target {
	original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return Target{original.RequestURI, r.RequestURI, r.URL.RawQuery}
}

// Ignoring returns the rule without the query parameters of these names: requests may
// differ in them. The backend gets them all the same. See [Rule.Echoed].
func (rule Rule) Ignoring(names []string) Rule {
	rule.ignored = names
	return rule
}

// withoutIgnored returns the target without the ignored parameters. All else keeps its
// order and its spelling.
func (rule *Rule) withoutIgnored(t Target) Target {
	if len(rule.ignored) == 0 {
		return t
	}
	return Target{rule.cutURI(t.Original), rule.cutURI(t.RequestURI), rule.CutQuery(t.RawQuery)}
}

// cutURI returns a RequestURI without the ignored parameters, and without the question mark
// if there were no others.
func (rule *Rule) cutURI(uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	switch rest := rule.CutQuery(query); {
	case len(rest) == len(query):
		return uri
	case rest == "":
		return path
	default:
		return path + "?" + rest
	}
}

// CutQuery returns a query without the ignored parameters.
func (rule *Rule) CutQuery(query string) string {
	parameters := strings.Split(query, "&")
	if !slices.ContainsFunc(parameters, rule.ignores) {
		return query
	}
	return strings.Join(slices.DeleteFunc(parameters, rule.ignores), "&")
}

// ignores reports whether a parameter is ignored. One that a backend may read in another
// way, as several parameters or as the end of the query, is not.
func (rule *Rule) ignores(parameter string) bool {
	if strings.ContainsFunc(parameter, notInParameter) {
		return false
	}
	name, _, _ := strings.Cut(parameter, "=")
	name, err := url.QueryUnescape(name)
	return err == nil && slices.Contains(rule.ignored, name)
}

// notInParameter reports whether c is not allowed in a query (RFC 3986, section 3.4), or is
// the semicolon, which separates parameters for some backends.
func notInParameter(c rune) bool { return !isPlain(c) && !strings.ContainsRune("~%!$'()*+,=:@/?", c) }

// isPlain reports whether c is written in the same way wherever it is: in URLs, JSON, HTML
// and scripts.
func isPlain(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// Echoed returns the texts by which an answer shows that it contains the value of an ignored
// parameter of the target, in lower case. ok is false if an answer could contain a value in
// another form, as values with other than plain characters are escaped in many ways.
func (rule *Rule) Echoed(t Target) (texts []string, ok bool) {
	if len(rule.ignored) == 0 {
		return nil, true
	}
	for _, part := range []string{t.Original, t.RequestURI, "?" + t.RawQuery} {
		_, query, _ := strings.Cut(part, "?")
		for parameter := range strings.SplitSeq(query, "&") {
			_, written, _ := strings.Cut(parameter, "=")
			if written == "" || !rule.ignores(parameter) {
				continue
			}
			value, err := url.QueryUnescape(written)
			if err != nil || strings.ContainsFunc(value, func(c rune) bool { return !isPlain(c) }) {
				return nil, false
			}
			for _, text := range []string{strings.ToLower(written), strings.ToLower(value)} {
				if !slices.Contains(texts, text) {
					texts = append(texts, text)
				}
			}
		}
	}
	return texts, true
}
