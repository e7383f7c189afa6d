package memory

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Browser is who sends polls and loads pages, as far as requests show it: the address, the
// host, the User-Agent and the cookies.
type Browser struct {
	look    look
	cookies []cookie
}

// look stands for what all browsers of one kind at one address have in common.
type look [sha256.Size / 2]byte

// cookie stands for the name and the value of a cookie. The lowest bit of value says that
// the value is long enough to be no other browser's.
type cookie struct{ name, value uint64 }

// maxCookies is more than browsers send to a site.
const maxCookies = 200

// ownLength is the length from which on the value of a cookie is likely to be no other
// browser's, in bytes.
const ownLength = 12

var seed = maphash.MakeSeed()

// BrowserOf returns the browser at an address that has sent a request.
func BrowserOf(r *http.Request, address string) Browser {
	var space [256]byte
	b := space[:0]
	for _, part := range append([]string{address, strings.ToLower(r.Host)}, r.Header["User-Agent"]...) {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(b)
	return Browser{look: look(sum[:]), cookies: cookiesOf(r.Header["Cookie"])}
}

// HasCookie reports whether the browser has sent a cookie. Without one, browsers that look
// alike cannot be told apart.
func (b Browser) HasCookie() bool { return len(b.cookies) > 0 }

func cookiesOf(lines []string) []cookie {
	if len(lines) == 0 {
		return nil
	}
	cookies := make([]cookie, 0, min(strings.Count(lines[0], ";")+1, maxCookies))
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name == "" && value == "" {
				continue
			}
			if len(cookies) == maxCookies {
				return nil
			}
			c := cookie{name: maphash.String(seed, name), value: maphash.String(seed, value) &^ 1}
			if len(value) >= ownLength {
				c.value |= 1
			}
			cookies = append(cookies, c)
		}
	}
	slices.SortFunc(cookies, func(a, b cookie) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value)) })
	return cookies
}

// without returns the cookies but those that an answer sets, because the browser has
// another value from then on.
func without(cookies []cookie, answer http.Header) []cookie {
	for _, line := range answer["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		set := maphash.String(seed, strings.TrimSpace(name))
		cookies = slices.DeleteFunc(slices.Clone(cookies), func(c cookie) bool { return c.name == set })
	}
	return cookies
}

// maybeSame reports whether both cookies may be of one browser: no cookie has two values,
// or one has a value that no other browser has. A page may be loaded without some of the
// cookies that its polls have, because these are for other paths, or a page of another site
// has a link to it (SameSite=Strict).
func maybeSame(a, b []cookie) bool {
	same := true
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].name < b[0].name:
			a = a[1:]
		case a[0].name > b[0].name:
			b = b[1:]
		case a[0].value != b[0].value:
			same = false
			a, b = a[1:], b[1:]
		case a[0].value&1 == 1:
			return true
		default:
			a, b = a[1:], b[1:]
		}
	}
	return same
}

// IsPageLoad reports whether a browser asks for a document, in a window or in a frame
// (Fetch Metadata, section 2.1). Browsers say so only over HTTPS, and old ones never: then a
// GET that prefers HTML is one, unless a script has sent it.
func IsPageLoad(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "document", "iframe", "frame", "embed", "object":
		return true
	case "":
		return prefersHTML(r.Header)
	}
	return false
}

// IsVisit reports whether a script asks for a document to put it in place of the page's, as
// Turbo, pjax, htmx and Inertia do when a link is followed.
func IsVisit(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Dest") != "empty" {
		return false
	}
	for _, name := range []string{"X-Pjax", "X-Inertia", "Hx-Boosted"} {
		if _, ok := r.Header[name]; ok {
			return true
		}
	}
	return prefersHTML(r.Header)
}

func prefersHTML(header http.Header) bool {
	for _, script := range []string{"X-Requested-With", "Hx-Request"} {
		if _, ok := header[script]; ok {
			return false
		}
	}
	accept := strings.TrimSpace(header.Get("Accept"))
	return strings.HasPrefix(accept, "text/html") || strings.HasPrefix(accept, "application/xhtml+xml")
}

// IsOfPage reports whether a page of the same origin has sent a request, so that the loads
// of that page can be seen. Where the browser does not say it (Sec-Fetch-Site), Origin or
// Referer does. Without any of them, other is returned.
func IsOfPage(r *http.Request, other bool) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	for _, name := range []string{"Origin", "Referer"} {
		if text := r.Header.Get(name); text != "" {
			page, err := url.Parse(text)
			return err == nil && strings.EqualFold(page.Host, r.Host)
		}
	}
	return other
}
