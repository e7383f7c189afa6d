package answer

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Cookies holds the cookies that a backend has set in answers which the client did not get.
// They are added to the answer that it gets, and to each replay before that, as the client
// would send them. So sessions that change with each answer continue. The zero value holds
// none.
type Cookies struct {
	lines []string // Set-Cookie fields, no two for the same cookie
}

// Hold adds the cookies that an answer sets. It reports whether there are any.
func (c *Cookies) Hold(header http.Header) bool {
	set := header["Set-Cookie"]
	for _, line := range set {
		c.lines = slices.DeleteFunc(c.lines, same(line))
		c.lines = append(c.lines, line)
	}
	return len(set) > 0
}

// Give adds the cookies to the header of an answer, except those that the answer sets
// itself.
func (c *Cookies) Give(header http.Header) {
	own := header["Set-Cookie"]
	var given []string
	for _, line := range c.lines {
		if !slices.ContainsFunc(own, same(line)) {
			given = append(given, line)
		}
	}
	if len(given) > 0 {
		header["Set-Cookie"] = append(given, own...)
	}
}

// Present returns the Cookie field of a request for the path, with the cookies added as a
// client adds them (RFC 6265, section 5.4). fields is the request's own field. Cookies with
// Secure are added too, because the client may use TLS to a proxy in front of this one.
//
// The pairs of a Cookie field do not say which domain and path they are for. A cookie that
// is set replaces the pair with its name, even if other cookies with that name are deleted,
// because backends delete variants of a cookie that earlier releases have set. If only the
// cookie of a domain is deleted, the pair stays, because it may be that of the host.
func (c *Cookies) Present(fields []string, path string) []string {
	own := pairsOf(fields)
	set, deleted := c.applying(path, time.Now())
	for _, cookie := range deleted {
		isSet := slices.ContainsFunc(set, func(other setCookie) bool { return other.name == cookie.name })
		if at := slices.IndexFunc(own, cookie.names); at >= 0 && !isSet && cookie.domain == "" {
			own = slices.Delete(own, at, at+1)
		}
	}
	var added []string
	replaced := make(map[int]bool)
	for _, cookie := range set {
		pair := cookie.name + "=" + cookie.value
		if at := cookie.placeAmong(own, replaced); at >= 0 {
			own[at], replaced[at] = pair, true
		} else {
			added = append(added, pair)
		}
	}
	if own = append(own, added...); len(own) == 0 {
		return nil
	}
	return []string{strings.Join(own, "; ")}
}

// pairsOf returns the pairs of Cookie fields.
func pairsOf(fields []string) (pairs []string) {
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				pairs = append(pairs, pair)
			}
		}
	}
	return pairs
}

// applying returns the cookies that are set for a path, and those that are deleted there.
func (c *Cookies) applying(path string, now time.Time) (set, deleted []setCookie) {
	for _, line := range c.lines {
		cookie, ok := parseSetCookie(line)
		switch {
		case !ok || !pathMatches(path, cookie.path):
		case cookie.expired(now):
			deleted = append(deleted, cookie)
		default:
			set = append(set, cookie)
		}
	}
	return longestFirst(set), deleted
}

// longestFirst puts cookies with longer paths before others with the same name.
func longestFirst(set []setCookie) (ordered []setCookie) {
	for _, cookie := range set {
		at := len(ordered)
		for i, other := range ordered {
			if other.name == cookie.name && other.pathLength() < cookie.pathLength() {
				at = i
				break
			}
		}
		ordered = slices.Insert(ordered, at, cookie)
	}
	return ordered
}

// pathLength returns the length of the cookie's path. A cookie without a path is for the
// folder of the request that has set it, which counts as the longest.
func (c setCookie) pathLength() int {
	if c.path == "" {
		return math.MaxInt
	}
	return len(c.path)
}

// names reports whether a pair has the cookie's name.
func (c setCookie) names(pair string) bool { return strings.HasPrefix(pair, c.name+"=") }

// placeAmong returns the index of the pair that the cookie replaces, or -1. A pair that is
// replaced already does not count. Clients send cookies with longer paths first.
func (c setCookie) placeAmong(pairs []string, replaced map[int]bool) int {
	place := -1
	for i, pair := range pairs {
		if c.names(pair) && !replaced[i] && (place < 0 || c.path == "/") {
			place = i
		}
	}
	return place
}

// same returns a function that reports whether a Set-Cookie field is for the same cookie as
// line: one with the same name, domain and path (RFC 6265, section 5.3).
func same(line string) func(string) bool {
	name, domain, path := identity(line)
	return func(other string) bool {
		n, d, p := identity(other)
		return n == name && d == domain && p == path
	}
}

// identity returns what identifies a cookie. For a field that is not a cookie, it is the
// field.
func identity(line string) (name, domain, path string) {
	cookie, ok := parseSetCookie(line)
	if !ok {
		return "", line, ""
	}
	return cookie.name, cookie.domain, cookie.path
}

// pathMatches reports whether a cookie is for a path (RFC 6265, section 5.1.4). A cookie
// without a path is for all paths here: it is for the request that has set it.
func pathMatches(path, cookiePath string) bool {
	return cookiePath == "" || path == cookiePath ||
		strings.HasPrefix(path, cookiePath) && (strings.HasSuffix(cookiePath, "/") || path[len(cookiePath)] == '/')
}
