// Package field parses HTTP header fields that net/http does not parse.
package field

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDelta is the number of seconds that larger numbers count as (RFC 9111, 1.2.2).
const maxDelta = 1 << 31

// Wait returns how long the client prefers to wait for an answer: the preference
// `wait` of the Prefer field, in whole seconds (RFC 7240, 4.3). Only the first `wait`
// counts. ok is false if there is none, or if its value is not a number of seconds.
func Wait(header http.Header) (wait time.Duration, ok bool) {
	for _, line := range header["Prefer"] {
		for more := true; more; {
			var preference string
			preference, line, more = cut(line, ',')
			preference, _, _ = cut(preference, ';')
			name, value, _ := strings.Cut(preference, "=")
			if strings.EqualFold(trim(name), "wait") {
				return delta(unquote(trim(value)))
			}
		}
	}
	return 0, false
}

// PreferencesBut returns the preferences in the lines of a Prefer field, except those
// with the name (RFC 7240, section 2). They are returned as they are written.
func PreferencesBut(lines []string, name string) []string {
	var others []string
	for _, line := range lines {
		for more := true; more; {
			var preference string
			preference, line, more = cut(line, ',')
			token, _, _ := cut(preference, ';')
			token, _, _ = strings.Cut(token, "=")
			if preference = trim(preference); preference != "" && !strings.EqualFold(trim(token), name) {
				others = append(others, preference)
			}
		}
	}
	return others
}

// delta parses delta-seconds (RFC 9111, 1.2.2).
func delta(digits string) (time.Duration, bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		seconds = maxDelta // digits only, so the number is out of range
	}
	return time.Duration(min(seconds, maxDelta)) * time.Second, true
}

// List returns the elements of a list-based field (RFC 9110, 5.6.1), given the values
// of all its lines. An element that is a quoted string is returned without its quotes,
// and may contain commas. Empty elements are omitted, but not empty quoted strings.
func List(values []string) []string {
	var elements []string
	for _, line := range values {
		for more := true; more; {
			var element string
			element, line, more = cut(line, ',')
			if element = trim(element); element != "" {
				elements = append(elements, unquote(element))
			}
		}
	}
	return elements
}

// Accepts reports whether a request's Accept field names the media type itself, not by
// a range, and with a weight other than 0 (RFC 9110, 12.5.1).
func Accepts(header http.Header, mediaType string) bool {
	for _, line := range header["Accept"] {
		for more := true; more; {
			var element string
			element, line, more = cut(line, ',')
			name, parameters, _ := cut(element, ';')
			if strings.EqualFold(trim(name), mediaType) {
				return !ruledOut(parameters)
			}
		}
	}
	return false
}

// ruledOut reports whether the weight among the parameters is 0 (RFC 9110, 12.4.2).
func ruledOut(parameters string) bool { return weight(parameters) == 0 }

// weight returns the weight among the parameters (RFC 9110, 12.4.2), or 1 if there is
// no valid weight.
func weight(parameters string) float64 {
	for more := true; more; {
		var parameter string
		parameter, parameters, more = cut(parameters, ';')
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(trim(name), "q") {
			if weight, err := strconv.ParseFloat(trim(value), 64); err == nil && weight >= 0 && weight <= 1 {
				return weight
			}
			break
		}
	}
	return 1
}

// Prefers reports whether a request's Accept field names the media type itself with a
// weight other than 0, and no other media type or range with a greater weight
// (RFC 9110, 12.5.1).
func Prefers(header http.Header, mediaType string) bool {
	own, greatest := 0.0, 0.0
	named := false
	for _, line := range header["Accept"] {
		for more := true; more; {
			var element string
			element, line, more = cut(line, ',')
			name, parameters, _ := cut(element, ';')
			switch name = trim(name); {
			case !strings.EqualFold(name, mediaType):
				if strings.Contains(name, "/") {
					greatest = max(greatest, weight(parameters))
				}
			case !named:
				named, own = true, weight(parameters)
			}
		}
	}
	return own > 0 && own >= greatest
}

// AcceptsOnly reports whether a request's Accept field names the media type with a
// weight other than 0, and nothing else.
func AcceptsOnly(header http.Header, mediaType string) bool {
	elements := 0
	for _, line := range header["Accept"] {
		for more := true; more; {
			var element string
			element, line, more = cut(line, ',')
			if trim(element) != "" {
				elements++
			}
		}
	}
	return elements == 1 && Accepts(header, mediaType)
}

// Parameter returns the value of a parameter of a media type, or "" if there is no
// parameter with that name (RFC 9110, 5.6.6). Other parameters may be malformed.
func Parameter(mediaType, name string) string {
	_, parameters, more := cut(mediaType, ';')
	for more {
		var parameter string
		parameter, parameters, more = cut(parameters, ';')
		if key, value, _ := strings.Cut(parameter, "="); strings.EqualFold(trim(key), name) {
			return unquote(trim(value))
		}
	}
	return ""
}

// cut is like strings.Cut, but ignores separators in quoted strings.
func cut(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == separator:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// unquote returns the text of a quoted string (RFC 9110, 5.6.4). Any other string is
// returned unchanged.
func unquote(s string) string {
	if s == "" || s[0] != '"' {
		return s
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i == len(s)-1 {
				return text.String()
			}
			return s
		case '\\':
			if i++; i == len(s) {
				return s
			}
		}
		text.WriteByte(s[i])
	}
	return s
}

// trim removes optional white space from both ends (RFC 9110, 5.6.3).
func trim(s string) string {
	return strings.Trim(s, " \t")
}
