// Package publication checks the properties of events, which come from the hook or from
// a broker's server. Errors begin with a verb, so that callers can put the name of the
// field in front.
package publication

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxBytes is the maximum length of an event's type, its ID and a content type.
const maxBytes = 255

// maxSeconds is the number of seconds that larger numbers count as (RFC 9111, section
// 1.2.2).
const maxSeconds = 1 << 31

var (
	errContentType = fmt.Errorf("is not a media type of at most %d bytes of printable ASCII", maxBytes)
	errType        = fmt.Errorf("is not at most %d bytes of UTF-8 without control characters", maxBytes)
	errID          = fmt.Errorf("is not 1 to %d bytes of printable UTF-8", maxBytes)
	errLifetime    = errors.New("is not a number of seconds of 0 or more, such as 0.5")
)

// ContentType returns the content type of a message: the declared one, or if that is
// empty, JSON or text, depending on the body. It is sent to clients unchanged, so it must
// be a media type in printable ASCII (RFC 9110, sections 5.5 and 8.3.1).
func ContentType(declared string, body []byte) (string, error) {
	switch {
	case declared == "" && json.Valid(body):
		return "application/json", nil
	case declared == "":
		return "text/plain; charset=utf-8", nil
	}
	mediaType, _, err := mime.ParseMediaType(declared)
	if err != nil || !strings.Contains(mediaType, "/") || len(declared) > maxBytes || strings.ContainsFunc(declared, notPrintableASCII) {
		return "", errContentType
	}
	return declared, nil
}

// CheckType returns an error if a text cannot be the type of an event. On a stream, a
// line break in it would begin another field.
func CheckType(text string) error {
	if len(text) > maxBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errType
	}
	return nil
}

// CheckID returns an error if a text cannot be the publisher's own ID of an event.
func CheckID(text string) error {
	if text == "" || len(text) > maxBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, notPrintable) {
		return errID
	}
	return nil
}

// Lifetime parses the number of seconds that an event is kept, such as 0.5. The result
// is negative if the event is not kept at all. Fractions of a millisecond are ignored,
// and numbers that are too large count as the largest one.
func Lifetime(seconds string) (time.Duration, error) {
	whole, fraction, _ := strings.Cut(seconds, ".")
	if digits := whole + fraction; digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errLifetime
	}
	// Errors can be ignored: without digits before the point the result is 0, and if
	// the number is too large, it is the largest integer.
	n, _ := strconv.ParseInt(whole, 10, 64)
	milliseconds, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
	lifetime := time.Duration(min(n, maxSeconds))*time.Second + time.Duration(milliseconds)*time.Millisecond
	if lifetime == 0 {
		return -1, nil
	}
	return lifetime, nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

func notPrintableASCII(r rune) bool { return r < ' ' || r > '~' }
