// Package publication is the rules for what a publisher says of an event, whichever
// way it comes: by the hook, or by a broker's server. The errors say what a value is
// not, to be written behind the name that the value's field has there.
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

// maxBytes is how long an event's type, its ID and a content type may be.
const maxBytes = 255

// maxSeconds is what larger numbers of seconds are taken for (RFC 9111, section
// 1.2.2).
const maxSeconds = 1 << 31

var (
	errContentType = fmt.Errorf("is not a media type of at most %d bytes of printable ASCII", maxBytes)
	errType        = fmt.Errorf("is not at most %d bytes of UTF-8 without control characters", maxBytes)
	errID          = fmt.Errorf("is not 1 to %d bytes of printable UTF-8", maxBytes)
	errLifetime    = errors.New("is not a number of seconds from 0, such as 0.5")
)

// ContentType is the content type of a message: the one declared, or, if that is
// empty, what the body looks like. It is sent to clients as it stands, so nothing but
// a media type in printable ASCII passes (RFC 9110, sections 5.5 and 8.3.1).
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

// CheckType tells why a text cannot be the type of an event on a stream. A line's end
// or NUL in it would begin another field there, or have it ignored.
func CheckType(text string) error {
	if len(text) > maxBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errType
	}
	return nil
}

// CheckID tells why a text cannot be the publisher's own ID for an event.
func CheckID(text string) error {
	if text == "" || len(text) > maxBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, notPrintable) {
		return errID
	}
	return nil
}

// Lifetime reads for how many seconds an event is remembered, such as 0.5. It comes
// out as a publication has it: negative if the event is not remembered at all. Digits
// below the millisecond do not count, and too large a number is taken for the largest.
func Lifetime(seconds string) (time.Duration, error) {
	whole, fraction, _ := strings.Cut(seconds, ".")
	if digits := whole + fraction; digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errLifetime
	}
	// The errors left are that there are no digits before the point, which comes out as
	// 0, and that the number is too large, which comes out as the largest there is.
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
