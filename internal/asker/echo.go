package asker

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/nothingnew"
)

// mayEcho reports whether an answer, or the error of which Caddy makes one, may contain the
// value of a parameter that the operator ignores, such as the name of a JSONP callback. Then
// it is not for requests with other values. Either of the two may be nil.
func (a *Asker) mayEcho(kept *ask.Answer, err error) bool {
	texts, ok := a.config.Share.Echoed(a.target())
	if !ok || len(texts) == 0 {
		return !ok
	}
	contains := func(text string) bool {
		lower := strings.ToLower(text)
		return slices.ContainsFunc(texts, func(value string) bool { return strings.Contains(lower, value) })
	}
	if err != nil && contains(err.Error()) {
		return true
	}
	return kept != nil && (anyValue(kept.Header, contains) || anyValue(kept.Trailer, contains) || a.bodyMayEcho(kept, texts))
}

// bodyMayEcho reports whether the body of an answer contains one of the texts, or cannot be
// searched: it has an unknown content coding, or is not in an encoding that has ASCII as it
// is.
func (a *Asker) bodyMayEcho(kept *ask.Answer, texts []string) bool {
	if len(kept.Body) == 0 {
		return false
	}
	body, err := nothingnew.Decode(kept.Header, kept.Body, a.config.MaxEvent())
	if err != nil || bytes.IndexByte(body, 0) >= 0 {
		return true
	}
	body = bytes.ToLower(body)
	return slices.ContainsFunc(texts, func(value string) bool { return bytes.Contains(body, []byte(value)) })
}

// isPadded reports whether an answer is JSON with padding: a call of a function that an
// ignored parameter names.
func (a *Asker) isPadded(kept *ask.Answer) bool {
	body, err := nothingnew.Decode(kept.Header, kept.Body, a.config.MaxEvent())
	if err != nil {
		return false
	}
	const longestStart = 200 // of a call, with a check whether there is such a function
	start := bytes.ToLower(body[:min(len(body), longestStart)])
	texts, _ := a.config.Share.Echoed(a.target())
	return slices.ContainsFunc(texts, func(name string) bool { return bytes.Contains(start, []byte(name+"(")) })
}

// anyValue reports whether such is true for the value of any field.
func anyValue(header http.Header, such func(value string) bool) bool {
	for _, lines := range header {
		if slices.ContainsFunc(lines, such) {
			return true
		}
	}
	return false
}
