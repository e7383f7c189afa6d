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
	agent   uint64 // the same as look, without the address
	cookies []cookie
	page    uint64 // the path of the page that polls, or is loaded; 0: not known
}

// look stands for what all browsers of one kind at one address have in common.
type look [sha256.Size / 2]byte

// cookie stands for the name and the value of a cookie. The lowest bit of value says that
// the value is long enough to be no other browser's.
type cookie struct{ name, value uint64 }

// isOwn reports whether the value is long enough to be no other browser's.
func (c cookie) isOwn() bool { return c.value&1 == 1 }

// maxCookies is more than browsers send to a site.
const maxCookies = 64

// ownLength is the length from which on the value of a cookie is likely to be no other
// browser's, in bytes.
const ownLength = 12

var seed = maphash.MakeSeed()

// BrowserOf returns the browser at an address that has sent a poll.
func BrowserOf(r *http.Request, address string) Browser {
	b := browserOf(r, address)
	if page, err := url.Parse(r.Header.Get("Referer")); err == nil && strings.EqualFold(page.Host, r.Host) {
		b.page = maphash.String(seed, page.EscapedPath())
	}
	return b
}

// LoaderOf returns the browser at an address that loads a page.
func LoaderOf(r *http.Request, address string) Browser {
	b := browserOf(r, address)
	path, _, _ := strings.Cut(r.RequestURI, "?")
	b.page = maphash.String(seed, path)
	return b
}

func browserOf(r *http.Request, address string) Browser {
	var space [256]byte
	b := appendPart(space[:0], strings.ToLower(r.Host))
	for _, name := range r.Header["User-Agent"] {
		b = appendPart(b, name)
	}
	agent := maphash.Bytes(seed, b)
	sum := sha256.Sum256(appendPart(b, address))
	return Browser{look: look(sum[:]), agent: agent, cookies: cookiesOf(r.Header["Cookie"])}
}

func appendPart(b []byte, part string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// onSamePage reports whether both may be on one page.
func (b Browser) onSamePage(other Browser) bool {
	return b.page == other.page || b.page == 0 || other.page == 0
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
			cookies = append(cookies, cookieOf(name, value))
		}
	}
	slices.SortFunc(cookies, compareCookies)
	return cookies
}

func cookieOf(name, value string) cookie {
	c := cookie{name: maphash.String(seed, name), value: maphash.String(seed, value) &^ 1}
	if len(value) >= ownLength {
		c.value |= 1
	}
	return c
}

func compareCookies(a, b cookie) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
}

// set returns the cookies that a browser has after an answer with this header. What it
// deletes is empty.
func set(cookies []cookie, answer http.Header) []cookie {
	lines := answer["Set-Cookie"]
	if len(lines) == 0 || len(cookies)+len(lines) > maxCookies {
		return cookies
	}
	cookies = slices.Clone(cookies)
	for _, line := range lines {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		c := cookieOf(strings.TrimSpace(name), strings.TrimSpace(value))
		cookies = slices.DeleteFunc(cookies, func(old cookie) bool { return old.name == c.name })
		if strings.TrimSpace(value) != "" {
			cookies = append(cookies, c)
		}
	}
	slices.SortFunc(cookies, compareCookies)
	return cookies
}

// likeness says whether two requests of browsers that look alike are of one browser.
type likeness int

const (
	different likeness = iota
	possible           // nothing says otherwise
	same
)

// compare compares the cookies of two requests. Browsers change some of their cookies
// themselves, and one user has some in common with others, such as a time zone. So they are
// the same if more of the long values are equal than differ. A page may be loaded without
// cookies that its polls have: these are for other paths, or a page of another site has a
// link to it (SameSite=Strict).
func compare(a, b []cookie) likeness {
	equal, own, differ := 0, 0, false
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch x, y := a[i], b[j]; {
		case x.name < y.name:
			i++
			continue
		case x.name > y.name:
			j++
			continue
		case x.value == y.value:
			equal++
			own += int(x.value & 1)
		default:
			differ = true
			own -= int(x.value & y.value & 1)
		}
		i, j = i+1, j+1
	}
	switch {
	case own > 0, equal > 0 && equal == len(a) && equal == len(b):
		return same
	case differ:
		return different
	}
	return possible
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
// Turbo, Turbolinks, pjax, htmx and Inertia do when a link is followed.
func IsVisit(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	if r.Method != http.MethodGet || dest != "empty" && dest != "" || IsPrefetch(r) {
		return false
	}
	if _, part := r.Header["X-Inertia-Partial-Component"]; part {
		return false
	}
	for _, name := range []string{"X-Turbo-Request-Id", "Turbolinks-Referrer", "X-Pjax", "X-Inertia", "Hx-Boosted"} {
		if _, ok := r.Header[name]; ok {
			_, frame := r.Header["Turbo-Frame"]
			return !frame
		}
	}
	return false
}

// IsPrefetch reports whether a document is asked for in advance, because a link to it may be
// followed.
func IsPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Moz"} {
		if purpose := r.Header.Get(name); strings.HasPrefix(purpose, "prefetch") && !strings.Contains(purpose, "prerender") {
			return true
		}
	}
	return false
}

func prefersHTML(header http.Header) bool {
	// Apps with a built-in browser send their name in X-Requested-With, also for documents.
	if by := header.Get("X-Requested-With"); by != "" && !strings.Contains(by, ".") || len(header["Hx-Request"]) > 0 {
		return false
	}
	accept := strings.TrimSpace(header.Get("Accept"))
	for _, kind := range []string{"text/html", "application/xhtml+xml", "application/xml,application/xhtml+xml"} {
		if strings.HasPrefix(accept, kind) {
			return true
		}
	}
	return false
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
