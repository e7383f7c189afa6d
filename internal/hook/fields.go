package hook

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The header fields in which a publisher says more of an event.
const (
	eventField   = "Parker-Event"
	expiresField = "Parker-Expires"
	idField      = "Parker-Id"
)

// maxTextBytes is how long an event's type and its ID may be.
const maxTextBytes = 255

// maxSeconds is what larger numbers of seconds are taken for (RFC 9111, section
// 1.2.2).
const maxSeconds = 1 << 31

// fields is what the header of a publish says.
type fields struct {
	event    string        // the event's type, or empty
	id       string        // the publisher's own ID, or empty
	lifetime time.Duration // as in [brokers.Publication]
}

func readFields(header http.Header) (read fields, refusal *Problem) {
	for _, field := range []struct {
		name string
		read func(value string) *Problem
	}{
		{eventField, read.readEvent},
		{expiresField, read.readExpires},
		{idField, read.readID},
	} {
		values := header[field.name]
		if len(values) > 1 {
			return fields{}, refuse(http.StatusBadRequest, field.name+" is given more than once.")
		}
		if len(values) == 1 {
			if refusal := field.read(values[0]); refusal != nil {
				return fields{}, refusal
			}
		}
	}
	return read, nil
}

// readEvent reads the type of the event on a stream. A line's end or NUL in it
// would begin another field there, or have it ignored.
func (f *fields) readEvent(value string) *Problem {
	if len(value) > maxTextBytes || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%s is at most %d bytes of UTF-8 without control characters.", eventField, maxTextBytes))
	}
	f.event = value
	return nil
}

// readExpires reads how many seconds the event is remembered.
func (f *fields) readExpires(value string) *Problem {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return refuse(http.StatusBadRequest, expiresField+" is a whole number of seconds from 0.")
	}
	// The one error left is that the number is too large. It comes out as the
	// largest there is.
	seconds, _ := strconv.ParseInt(value, 10, 64)
	f.lifetime = time.Duration(min(seconds, maxSeconds)) * time.Second
	if f.lifetime == 0 {
		f.lifetime = -1 // not remembered at all
	}
	return nil
}

// readID reads the publisher's own ID for the event.
func (f *fields) readID(value string) *Problem {
	if value == "" || len(value) > maxTextBytes || !utf8.ValidString(value) || strings.ContainsFunc(value, unprintable) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%s is 1 to %d bytes of printable UTF-8.", idField, maxTextBytes))
	}
	f.id = value
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
