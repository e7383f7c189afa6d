package answer

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Cookies are those that the backend has set in answers which the client was not
// given. They travel with the answer that it is given, and meanwhile with each
// replay, as the client itself would send them: sessions that rotate with every
// answer go on. The zero value holds none.
type Cookies struct {
	lines []string // Set-Cookie fields, no two for the same cookie
}

// Hold takes over the cookies that an answer sets. It reports whether there were
// any.
func (c *Cookies) Hold(header http.Header) bool {
	set := header["Set-Cookie"]
	for _, line := range set {
		c.lines = slices.DeleteFunc(c.lines, same(line))
		c.lines = append(c.lines, line)
	}
	return len(set) > 0
}

// Give adds the cookies to an answer's header, but for those that it sets itself.
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

// Present is the Cookie field of a request for path, whose own is given, with
// the cookies applied as a client would. RFC 6265, section 5.4. Those that are
// Secure are, too: the client may speak TLS with a proxy in front of this one.
//
// What domain and path a pair of the request's own is for, it does not say. A cookie
// that is set takes the place of the pair of its name, also where others of the name are
// deleted: backends clear variants of a cookie that earlier releases have set. The
// deletion of a domain's cookie alone leaves the pair, which may be the host's.
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

// pairsOf are the pairs of Cookie fields.
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

// longestFirst has those of one name that are for longer paths before the others of it.
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

// pathLength returns the length of the cookie's path. Without a path, it is for the folder
// of the request that set it, which counts as the longest.
func (c setCookie) pathLength() int {
	if c.path == "" {
		return math.MaxInt
	}
	return len(c.path)
}

// names reports whether a pair is of the cookie's name.
func (c setCookie) names(pair string) bool { return strings.HasPrefix(pair, c.name+"=") }

// placeAmong is which of the pairs the cookie takes the place of, but for those that are
// replaced already, or -1. Clients send those for longer paths first.
func (c setCookie) placeAmong(pairs []string, replaced map[int]bool) int {
	place := -1
	for i, pair := range pairs {
		if c.names(pair) && !replaced[i] && (place < 0 || c.path == "/") {
			place = i
		}
	}
	return place
}

// same reports whether a Set-Cookie field is for the same cookie as line: one of
// the same name, domain and path. RFC 6265, section 5.3.
func same(line string) func(string) bool {
	name, domain, path := identity(line)
	return func(other string) bool {
		n, d, p := identity(other)
		return n == name && d == domain && p == path
	}
}

// identity is what a cookie is told by. A field that is no cookie is only the same as
// itself.
func identity(line string) (name, domain, path string) {
	cookie, ok := parseSetCookie(line)
	if !ok {
		return "", line, ""
	}
	return cookie.name, cookie.domain, cookie.path
}

// pathMatches follows RFC 6265, section 5.1.4. A cookie without a path is taken
// to be for the request that set it.
func pathMatches(path, cookiePath string) bool {
	return cookiePath == "" || path == cookiePath ||
		strings.HasPrefix(path, cookiePath) && (strings.HasSuffix(cookiePath, "/") || path[len(cookiePath)] == '/')
}
