// Package nothingnew decides which of the backend's answers are nothing new. The
// configuration is [Rules]. An answer that matches any of the rules is held.
package nothingnew

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// Rules decide which answers are nothing new. An answer is nothing new if it matches any
// of the rules. Event streams, and answers whose body is longer than `max_body`, never
// match.
//
// The rules `body`, `json` and `match` apply only to successful answers (2xx other than
// 206). They are applied to the body after its content codings are decoded, and white
// space around it and byte order marks before it are removed.
//
// Provision must be called first. After that all methods are safe for concurrent use.
type Rules struct {
	// Status codes of answers that are nothing new. A number below 10 stands for a
	// class of codes, such as 2 for 2xx.
	Status []int `json:"status,omitempty"`

	// Bodies of answers that are nothing new, such as `[]`. An empty text is an empty
	// body. A text that is valid JSON is compared as a JSON value, so that `[]` also
	// matches `[ ]`.
	Body []string `json:"body,omitempty"`

	// Header fields and values of answers that are nothing new. One of the fields
	// with one of its values is enough. A `*` at the start or the end of a value
	// matches any text, as in Caddy's response matchers. A field without values only
	// has to be present.
	Header map[string][]string `json:"header,omitempty"`

	// Members of JSON bodies of answers that are nothing new. One of them is enough.
	JSON []JSONRule `json:"json,omitempty"`

	// Regular expressions (RE2 syntax) that match the bodies of answers that are
	// nothing new. One match anywhere in the body is enough.
	Match []string `json:"match,omitempty"`

	// Blocks of lines. An answer is nothing new if it matches every line of one of
	// the blocks. A line contains any of the rules above, and matches if one of them
	// does. In a block with a line about the status, the rules about the body apply
	// to answers with any status.
	All [][]Rules `json:"all,omitempty"`

	// If set, an answer is also nothing new if the client already has it.
	// Default: off.
	Unchanged *Unchanged `json:"unchanged,omitempty"`

	// If set, an answer is also nothing new if parker gave it to the client before, as
	// far as is remembered. This is for clients that do not say in their requests what
	// they have. It needs `unchanged`, which says how answers are compared. Default: off.
	Remember *Remember `json:"remember,omitempty"`

	// The rest is set by Provision.
	maxBody  int64
	headers  []caddyhttp.ResponseMatcher
	literals []literal
	members  []jsonvalue.Condition
	patterns []*regexp.Regexp
	except   []jsonvalue.Pointer
}

// JSONRule matches JSON bodies by one member.
type JSONRule struct {
	// The member, as a JSON pointer (RFC 6901). A `*` in it stands for any member of an
	// object and any index of an array, and is also met by a single object in place of
	// an array: `/source/*/listeners` refers to `{"source": {"listeners": 1}}`, too. If
	// the pointer refers to several members, one that matches is enough.
	Pointer string `json:"pointer"`

	// The values of the member that match. They are compared as JSON values: 1 equals
	// 1.0, and the order of an object's members does not matter. Default: `[]`, `{}`,
	// `""`, `null`, `0` and `false`.
	Values []json.RawMessage `json:"values,omitempty"`

	// Whether to match JSON bodies that contain no such member. Cannot be combined
	// with values. Default: false.
	Absent bool `json:"absent,omitempty"`
}

// Unchanged compares an answer with the one that the client already has, by the
// validators in its conditional request. An answer without a validator is given one,
// see [Rules.Tag].
type Unchanged struct {
	// JSON pointers (RFC 6901) to parts of a JSON body that are not compared, such as
	// a clock or a counter. Members of objects are removed before the comparison.
	// Elements of arrays are set to null, so that the other elements keep their
	// places. A `*` stands for any member or index, as in the `json` rule. Default:
	// none.
	Except []string `json:"except,omitempty"`
}

// Remember makes parker remember what it gave to each client: a digest of each answer. An
// answer is only compared with what the same page of a browser may have, and a page that was
// just loaded has nothing.
type Remember struct {
	// The values that tell the clients at one address with one User-Agent apart.
	// Placeholders are replaced for each request. Default: all that could make a
	// difference, such as cookies; a client without a cookie is not remembered.
	Values []string `json:"values,omitempty"`
}

// Default returns the rules that apply if none are configured: status 204 and 304, an
// empty body, and the bodies `[]`, `{}` and `null`.
func Default() *Rules {
	return &Rules{
		Status: []int{http.StatusNoContent, http.StatusNotModified},
		Body:   []string{"", "[]", "{}", "null"},
	}
}

// Provision prepares the rules for use. maxBody is the maximum size of a body that can
// match, in bytes, both as sent and decoded. The error contains the rule and the word
// that is invalid.
func (r *Rules) Provision(maxBody int64) error {
	if len(r.Status)+len(r.Body)+len(r.Header)+len(r.JSON)+len(r.Match)+len(r.All) == 0 && r.Unchanged == nil && r.Remember == nil {
		return errors.New("no rules are given, so nothing would be held")
	}
	if r.Remember != nil && r.Unchanged == nil {
		return fmt.Errorf("remember: %w", errCompares)
	}
	if maxBody < 1 {
		return fmt.Errorf("the maximum body size is %d: it must be at least 1", maxBody)
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
			return fmt.Errorf("header %q: not a valid name of a header field", name)
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
		m, err := jsonvalue.NewCondition(rule.Pointer, rule.Values, rule.Absent)
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
	errEmptyAll  = errors.New("the block is empty")
	errAllInside = errors.New("all cannot be inside another all")
	errUnchanged = errors.New("unchanged cannot be inside all: put it next to all")
	errRemember  = errors.New("remember cannot be inside all: put it next to all")
	errCompares  = errors.New("it needs unchanged beside it, which says how answers are compared")
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
		case lines[i].Remember != nil:
			return errRemember
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
		p, err := jsonvalue.ParsePointer(text)
		if err == nil && len(p) == 0 {
			err = errors.New("it refers to the whole document, so nothing would be compared")
		}
		if err != nil {
			return fmt.Errorf("unchanged except %q: %w", text, err)
		}
		r.except = append(r.except, p)
	}
	return nil
}

// notInFieldName reports whether c is not allowed in a field name (RFC 9110, 5.6.2).
func notInFieldName(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}
