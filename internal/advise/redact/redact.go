// Package redact takes what is secret out of observed traffic: cookies and credentials become
// digests with a random key, and only the header fields that matter for advice are kept.
package redact

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Key makes digests that nobody can compare with those of guessed values.
type Key [sha256.Size]byte

// NewKey returns a random key.
func NewKey() (k Key) {
	rand.Read(k[:])
	return k
}

// Digest returns a digest of the values, which depends on where one ends and the next begins.
func (k *Key) Digest(values ...string) string {
	text := make([]byte, 0, 512)
	text = append(text, k[:]...)
	for _, value := range values {
		text = binary.AppendUvarint(text, uint64(len(value)))
		text = append(text, value...)
	}
	sum := sha256.Sum256(text)
	var digest [32]byte
	hex.Encode(digest[:], sum[:len(digest)/2])
	return string(digest[:])
}

// The header fields whose values are kept: polls are recognized by them, and none is secret.
var (
	keptOfRequest = namesOf("Accept", "Cache-Control", "Connection", "Content-Type", "If-Match", "If-Modified-Since", "If-None-Match",
		"Last-Event-Id", "Prefer", "Range", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Upgrade", "X-Requested-With")
	keptOfAnswer = namesOf("Age", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Etag", "Expires",
		"Last-Modified", "Parker-Status", "Pragma", "Retry-After", "Upgrade", "Vary", "X-Accel-Buffering")
)

func namesOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// Request returns the fields of a request's header that matter. Cookies become `name=digest`,
// one value for each, and credentials become the scheme and a digest. It returns nil if
// nothing is left.
func (k *Key) Request(header http.Header) http.Header { return k.fields(header, keptOfRequest) }

// Answer returns the fields of an answer's header that matter, in the form of [Key.Request].
func (k *Key) Answer(header http.Header) http.Header { return k.fields(header, keptOfAnswer) }

// Unknown stands in place of a secret that is not known, as Caddy logs it.
const Unknown = "REDACTED"

func (k *Key) fields(header http.Header, kept map[string]bool) http.Header {
	var result http.Header
	var copies []string // of the values, in one piece of memory
	for name, values := range header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case len(values) == 0:
			continue
		case kept[name]:
			if copies == nil {
				copies = make([]string, 0, len(header))
			}
			begin := len(copies)
			copies = append(copies, values...)
			values = copies[begin:len(copies):len(copies)]
		case slices.Equal(values, []string{Unknown}) && secret(name):
			values = []string{Unknown}
		case name == "Cookie":
			values = k.cookies(strings.Split(join(values), ";"))
		case name == "Set-Cookie":
			values = k.cookies(values)
		case isCredential(name):
			name, values = "Authorization", []string{Unknown} // nothing else is known of it
		case name == "Authorization":
			values = k.credentials(values)
		default:
			continue
		}
		if result == nil {
			result = make(http.Header)
		}
		if before, twice := result[name]; twice { // in another spelling
			values = append(before, values...)
		}
		result[name] = values
	}
	return result
}

// join joins the lines of a Cookie field, which is mostly one.
func join(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ";")
}

// isCredential reports whether a field seems to say who the client is, in a way of its own.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, "csrf") || strings.Contains(name, "xsrf") {
		return false // it goes with a cookie
	}
	return strings.HasPrefix(name, "x-") && slices.ContainsFunc([]string{"token", "key", "auth", "session", "user", "account"}, func(word string) bool { return strings.Contains(name, word) })
}

func secret(name string) bool {
	return name == "Cookie" || name == "Set-Cookie" || name == "Authorization"
}

// maxCookies limits the work for a header with very many cookies.
const maxCookies = 100

// cookies returns name=digest for each cookie, without its attributes. A cookie without a
// name may be a secret as a whole.
func (k *Key) cookies(pairs []string) []string {
	var result []string
	for _, pair := range pairs[:min(len(pairs), maxCookies)] {
		pair, _, _ = strings.Cut(pair, ";")
		name, value, named := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case named:
			result = append(result, name+"="+k.Digest("cookie", name, value))
		case name != "":
			result = append(result, k.Digest("cookie", name))
		}
	}
	return result
}

// schemes are those of Authorization that are kept. What stands before a space may be a
// secret with others.
var schemes = []string{"Basic", "Bearer", "Digest", "Negotiate", "NTLM", "Token", "ApiKey", "AWS4-HMAC-SHA256"}

// credentials returns the scheme and a digest of each value of Authorization. A value without
// a known scheme may be a secret as a whole.
func (k *Key) credentials(values []string) []string {
	result := make([]string, 0, len(values))
	for _, value := range values {
		digest := k.Digest("credentials", value)
		scheme, _, _ := strings.Cut(value, " ")
		if i := slices.IndexFunc(schemes, func(known string) bool { return strings.EqualFold(known, scheme) }); i >= 0 {
			digest = schemes[i] + " " + digest
		}
		result = append(result, digest)
	}
	return result
}
