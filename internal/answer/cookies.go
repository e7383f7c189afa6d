package answer

import (
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

// Hold takes over the cookies that an answer sets. It tells whether there were
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
func (c *Cookies) Present(fields []string, path string) []string {
	var pairs []string
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				pairs = append(pairs, pair)
			}
		}
	}
	now := time.Now()
	for _, line := range c.lines {
		cookie, ok := parseSetCookie(line)
		if !ok || !pathMatches(path, cookie.path) {
			continue
		}
		pair := cookie.name + "=" + cookie.value
		at := slices.IndexFunc(pairs, func(p string) bool { return strings.HasPrefix(p, cookie.name+"=") })
		switch {
		case cookie.expired(now) && at >= 0:
			pairs = slices.Delete(pairs, at, at+1)
		case cookie.expired(now):
		case at >= 0:
			pairs[at] = pair
		default:
			pairs = append(pairs, pair)
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return []string{strings.Join(pairs, "; ")}
}

// same tells whether a Set-Cookie field is for the same cookie as line: one of
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
