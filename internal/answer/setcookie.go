package answer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setCookie is a Set-Cookie field, as browsers read it (RFC 6265, section 5.2).
// [net/http.ParseSetCookie] refuses values that browsers accept, such as JSON.
type setCookie struct {
	name, value string
	domain      string // in lower case, without its leading dot; empty: that of the host
	path        string // empty: that of the request
	expires     time.Time
	maxAge      int64 // seconds
	hasMaxAge   bool
}

// parseSetCookie parses a field. ok is false if browsers ignore it: it has no name, or a
// control character, which no request can contain.
func parseSetCookie(line string) (cookie setCookie, ok bool) {
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return setCookie{}, false
	}
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	cookie.name, cookie.value = trim(name), trim(value)
	if cookie.name == "" || !strings.Contains(pair, "=") {
		return setCookie{}, false
	}
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		cookie.read(strings.ToLower(trim(name)), trim(value))
	}
	return cookie, true
}

// trim removes white space (RFC 6265, section 2.2) from both ends.
func trim(text string) string { return strings.Trim(text, " \t") }

// read adds an attribute. If it is given more than once, the last one counts. An invalid
// one is ignored.
func (c *setCookie) read(name, value string) {
	switch name {
	case "expires":
		if date, ok := parseCookieDate(value); ok {
			c.expires = date
		}
	case "max-age":
		if seconds, ok := parseMaxAge(value); ok {
			c.maxAge, c.hasMaxAge = seconds, true
		}
	case "domain":
		if value != "" {
			c.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		}
	case "path":
		c.path = ""
		if strings.HasPrefix(value, "/") {
			c.path = value
		}
	}
}

// parseMaxAge parses a number of seconds. One that is out of range is the nearest that is
// not.
func parseMaxAge(value string) (seconds int64, ok bool) {
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	seconds, _ = strconv.ParseInt(value, 10, 64)
	return seconds, true
}

// expired reports whether the field deletes the cookie. Max-Age has precedence over Expires
// (RFC 6265, section 5.3).
func (c setCookie) expired(now time.Time) bool {
	if c.hasMaxAge {
		return c.maxAge <= 0
	}
	return !c.expires.IsZero() && !c.expires.After(now)
}

// The parts of a date (RFC 6265, section 5.1.1). What follows a number is ignored.
var (
	clockPart = regexp.MustCompile(`^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|$)`)
	dayPart   = regexp.MustCompile(`^(\d{1,2})(?:\D|$)`)
	monthPart = regexp.MustCompile(`^(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`)
	yearPart  = regexp.MustCompile(`^(\d{2,4})(?:\D|$)`)
)

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// parseCookieDate parses a date as browsers do: its parts may be in any order, with nearly
// anything between them.
func parseCookieDate(text string) (date time.Time, ok bool) {
	parts := []*regexp.Regexp{clockPart, dayPart, monthPart, yearPart}
	found := make([][]string, len(parts))
	for _, token := range strings.FieldsFunc(text, isDateDelimiter) {
		for i, part := range parts {
			if match := part.FindStringSubmatch(token); match != nil && found[i] == nil {
				found[i] = match[1:]
				break
			}
		}
	}
	if slices.ContainsFunc(found, func(match []string) bool { return match == nil }) {
		return time.Time{}, false
	}
	hour, minute, second := number(found[0][0]), number(found[0][1]), number(found[0][2])
	day, year := number(found[1][0]), number(found[3][0])
	month := time.Month(slices.Index(months, strings.ToLower(found[2][0])) + 1)
	switch {
	case year < 70:
		year += 2000
	case year < 100:
		year += 1900
	}
	date = time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	// time.Date accepts parts that are out of range, such as the 30th of February.
	ok = year >= 1601 && date.Day() == day && hour < 24 && minute < 60 && second < 60
	return date, ok
}

// isDateDelimiter reports whether a character separates the parts of a date.
func isDateDelimiter(r rune) bool {
	return r == '\t' || r >= ' ' && r <= '/' || r >= ';' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
}

// number returns the value of some digits.
func number(digits string) int {
	value, _ := strconv.Atoi(digits)
	return value
}
