// Package bodymatch is the request matcher parker_body, which looks into the bodies of
// requests.
package bodymatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/jsonvalue"
	"github.com/caddy-parker/parker/internal/requestbody"
)

func init() {
	caddy.RegisterModule(new(Matcher))
}

// Matcher matches requests by their bodies. A request matches if it matches any of the
// rules. It is meant for calls that poll and calls that write on one URL, such as JSON-RPC.
//
// A request does not match if it has no body, if its body is longer than `max_body`, does not
// declare its length, has a content coding or cannot be read to its end, or if the request is a tunnel (CONNECT) or
// asks not to be buffered (`Incremental`). In any case the handlers that come after get
// the whole body.
//
// The matcher waits for the body of each request that it looks at. Matchers of one set are
// evaluated in any order, so if bodies that are sent slowly matter, put the matcher in a
// `handle` block of the path.
type Matcher struct {
	// Members of JSON bodies, whatever the Content-Type. One of them is enough.
	JSON []JSONRule `json:"json,omitempty"`

	// Parameters of bodies of the type application/x-www-form-urlencoded. One of them
	// is enough.
	Form []FormRule `json:"form,omitempty"`

	// Regular expressions (RE2 syntax). One match anywhere in the body is enough.
	Match []string `json:"match,omitempty"`

	// The maximum size of a body that can match, in bytes. Default: 64 KB.
	MaxBody int64 `json:"max_body,omitempty"`

	conditions []jsonvalue.Condition
	patterns   []*regexp.Regexp
}

// JSONRule matches JSON bodies by one member.
type JSONRule struct {
	// The member, as a JSON pointer (RFC 6901). A `*` in it stands for any member of an
	// object and any index of an array, and is also met by a single object in place of
	// an array: `/*/method` refers to the method of a single call, too. If the pointer
	// refers to several members, one that matches is enough.
	Pointer string `json:"pointer"`

	// The values of the member that match. They are compared as JSON values: 1 equals
	// 1.0, and the order of an object's members does not matter. Default: any value.
	Values []json.RawMessage `json:"values,omitempty"`

	// Whether to match JSON bodies that contain no such member. Cannot be combined
	// with values. Default: false.
	Absent bool `json:"absent,omitempty"`
}

// FormRule matches forms by one parameter.
type FormRule struct {
	// The name of the parameter.
	Name string `json:"name"`

	// The values of the parameter that match. If it is given several times, one that
	// matches is enough. Default: any value.
	Values []string `json:"values,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.parker_body", New: func() caddy.Module { return new(Matcher) }}
}

// Provision fills in the defaults and compiles the rules.
func (m *Matcher) Provision(caddy.Context) error {
	if m.MaxBody == 0 {
		m.MaxBody = 64_000
	}
	return m.compile()
}

// compile prepares the rules for use. The error contains the rule that is invalid.
func (m *Matcher) compile() error {
	m.conditions, m.patterns = nil, nil
	for _, rule := range m.JSON {
		condition, err := jsonvalue.NewCondition(rule.Pointer, rule.Values, rule.Absent)
		if err != nil {
			return fmt.Errorf("json %q: %w", rule.Pointer, err)
		}
		m.conditions = append(m.conditions, condition)
	}
	if slices.ContainsFunc(m.Form, func(rule FormRule) bool { return rule.Name == "" }) {
		return errors.New("form: the name is empty")
	}
	for _, expression := range m.Match {
		pattern, err := regexp.Compile(expression)
		if err != nil {
			return fmt.Errorf("match %q: %w", expression, err)
		}
		m.patterns = append(m.patterns, pattern)
	}
	switch {
	case len(m.JSON)+len(m.Form)+len(m.Match) == 0:
		return errNoRules
	case m.MaxBody < 0:
		return errors.New("max_body must not be negative")
	}
	return nil
}

var errNoRules = errors.New("no rules are given, so no request would match: give json, form or match")

// MatchWithError reports whether a request matches. The error is always nil.
func (m *Matcher) MatchWithError(r *http.Request) (bool, error) {
	if r.ContentLength <= 0 || r.Method == http.MethodConnect || caddyhttp.IsIncremental(r.Header) || len(r.Header["Content-Encoding"]) > 0 {
		return false, nil
	}
	// A body that is too long or cannot be read does not match.
	body, err := requestbody.Read(r, m.MaxBody)
	return err == nil && len(body) > 0 && m.matches(r.Header, body), nil
}

func (m *Matcher) matches(header http.Header, body []byte) bool {
	return slices.ContainsFunc(m.patterns, func(pattern *regexp.Regexp) bool { return pattern.Match(body) }) ||
		len(m.Form) > 0 && requestbody.IsForm(header) && m.matchesForm(body) ||
		len(m.conditions) > 0 && m.matchesJSON(body)
}

func (m *Matcher) matchesJSON(body []byte) bool {
	document, err := jsonvalue.Parse(body)
	return err == nil && slices.ContainsFunc(m.conditions, func(condition jsonvalue.Condition) bool {
		return condition.Met(document, jsonvalue.Exists)
	})
}

func (m *Matcher) matchesForm(body []byte) bool {
	return slices.ContainsFunc(requestbody.Parameters(body), func(parameter requestbody.Parameter) bool {
		name, named := parameter.Name()
		value, ok := parameter.Value()
		return named && ok && slices.ContainsFunc(m.Form, func(rule FormRule) bool {
			return rule.Name == name && (len(rule.Values) == 0 || slices.Contains(rule.Values, value))
		})
	})
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*Matcher)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
)
