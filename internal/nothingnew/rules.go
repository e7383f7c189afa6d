// Package nothingnew says which of the backend's answers have no news. What
// counts is configured as [Rules]; an answer that meets any of them is held.
package nothingnew

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Rules tell which answers say that there is nothing new: those that meet any
// of them. An event stream never does, nor an answer whose body is too long to
// be looked at.
//
// Body, JSON and Match apply to successful answers only (2xx other than 206),
// and look at the body after its content codings are undone, and white space
// around it and byte order marks before it are trimmed. Provision comes first; then all methods are safe for
// concurrent use.
type Rules struct {
	// Status codes; a code under 10 stands for its class, such as 2 for 2xx.
	Status []int `json:"status,omitempty"`

	// Whole bodies, such as `[]`. An empty text is an empty body. One that is itself
	// JSON is compared as a JSON value: `[]` is also met by `[ ]`.
	Body []string `json:"body,omitempty"`

	// Header fields and the values that count, with a * at either end standing
	// for anything, as in Caddy's response matchers. Without values, the field
	// need only be there. One field is enough.
	Header map[string][]string `json:"header,omitempty"`

	// Members of a JSON body. One is enough.
	JSON []JSONRule `json:"json,omitempty"`

	// Regular expressions (RE2), each looked for in the body.
	Match []string `json:"match,omitempty"`

	// Blocks of lines. An answer counts if it meets every line of one of the blocks; it
	// meets a line if it meets any of the line's rules, which can be all of the above.
	// In a block with a line about the status, the others look at bodies whatever the
	// status is.
	All [][]Rules `json:"all,omitempty"`

	// If set, an answer counts also when it equals the one that the client
	// already has. Default: off.
	Unchanged *Unchanged `json:"unchanged,omitempty"`

	// What Provision makes of the above.
	maxBody  int64
	headers  []caddyhttp.ResponseMatcher
	literals []literal
	members  []member
	patterns []*regexp.Regexp
	except   []pointer
}

// JSONRule looks at one member of a JSON body.
type JSONRule struct {
	// Where the member is, as a JSON pointer (RFC 6901).
	Pointer string `json:"pointer"`

	// The values that count, compared as JSON values: 1 equals 1.0, and the
	// order of an object's members does not matter. Default: `[]`, `{}`, `""`,
	// `null`, `0` and `false`.
	Values []json.RawMessage `json:"values,omitempty"`

	// Count the JSON bodies in which the member is not there. Excludes values.
	Absent bool `json:"absent,omitempty"`
}

// Unchanged compares an answer with the one that the client already has, by
// the validators of its conditional request. Answers that have no validator are
// given one, see [Rules.Tag].
type Unchanged struct {
	// JSON pointers (RFC 6901) to what is left out of the comparison, such as a
	// clock or a counter. Members of objects are taken out, elements of arrays
	// are blanked, so that the others keep their places.
	Except []string `json:"except,omitempty"`
}

// Default is the rules where none are configured: status 204 and 304, and the
// bodies `[]`, `{}`, `null` and none at all.
func Default() *Rules {
	return &Rules{
		Status: []int{http.StatusNoContent, http.StatusNotModified},
		Body:   []string{"", "[]", "{}", "null"},
	}
}

// Provision prepares the rules for use. maxBody is how many bytes of a body are
// looked at, both as sent and decoded. The error names the rule and the word
// that is wrong.
func (r *Rules) Provision(maxBody int64) error {
	if len(r.Status)+len(r.Body)+len(r.Header)+len(r.JSON)+len(r.Match)+len(r.All) == 0 && r.Unchanged == nil {
		return errors.New("there is no rule: nothing would be held")
	}
	if maxBody < 1 {
		return fmt.Errorf("the most bytes of a body to look at is %d: it must be at least 1", maxBody)
	}
	r.maxBody = maxBody
	for _, status := range r.Status {
		if (status < 2 || status > 5) && (status < 200 || status > 599) {
			return fmt.Errorf("status %d: it must be from 200 to 599, or a class from 2 to 5", status)
		}
	}
	r.literals = nil
	for _, body := range r.Body {
		r.literals = append(r.literals, newLiteral(body))
	}
	for _, provision := range []func() error{r.provisionHeader, r.provisionJSON, r.provisionMatch, r.provisionAll, r.provisionUnchanged} {
		if err := provision(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) provisionHeader() error {
	r.headers = nil
	for name, values := range r.Header {
		if name == "" || strings.ContainsFunc(name, notInFieldName) {
			return fmt.Errorf("header %q: it is not the name of a header field", name)
		}
		if len(values) == 0 {
			values = []string{"*"}
		}
		r.headers = append(r.headers, caddyhttp.ResponseMatcher{Headers: http.Header{http.CanonicalHeaderKey(name): values}})
	}
	return nil
}

func (r *Rules) provisionJSON() error {
	r.members = nil
	for _, rule := range r.JSON {
		m, err := rule.compile()
		if err != nil {
			return fmt.Errorf("json %q: %w", rule.Pointer, err)
		}
		r.members = append(r.members, m)
	}
	return nil
}

func (r *Rules) provisionMatch() error {
	r.patterns = nil
	for _, expression := range r.Match {
		pattern, err := regexp.Compile(expression)
		if err != nil {
			return fmt.Errorf("match %q: %w", expression, err)
		}
		r.patterns = append(r.patterns, pattern)
	}
	return nil
}

var (
	errEmptyAll  = errors.New("there is no line in it")
	errAllInside = errors.New("another all cannot be a line of it")
	errUnchanged = errors.New("unchanged cannot be a line of it: it stands beside all")
)

func (r *Rules) provisionAll() error {
	for _, lines := range r.All {
		if err := provisionLines(lines, r.maxBody); err != nil {
			return fmt.Errorf("all: %w", err)
		}
	}
	return nil
}

func provisionLines(lines []Rules, maxBody int64) error {
	if len(lines) == 0 {
		return errEmptyAll
	}
	for i := range lines {
		switch {
		case lines[i].All != nil:
			return errAllInside
		case lines[i].Unchanged != nil:
			return errUnchanged
		}
		if err := lines[i].Provision(maxBody); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) provisionUnchanged() error {
	r.except = nil
	if r.Unchanged == nil {
		return nil
	}
	for _, text := range r.Unchanged.Except {
		p, err := parsePointer(text)
		if err == nil && len(p) == 0 {
			err = errors.New("it is the whole document: nothing would be left to compare")
		}
		if err != nil {
			return fmt.Errorf("unchanged except %q: %w", text, err)
		}
		r.except = append(r.except, p)
	}
	return nil
}

// notInFieldName reports whether c cannot be part of a field name (RFC 9110, 5.6.2).
func notInFieldName(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}
