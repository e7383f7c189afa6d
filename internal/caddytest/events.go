package caddytest

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// Event is an event that a client received.
type Event struct {
	// ID is the client's last event ID after the event, which an earlier event or ID
	// may have set.
	ID string

	// Type is empty if the stream names none.
	Type, Data string
}

// Part is what a client gets from one line of an event stream. At most one of Event,
// Comment, Retry and Unknown is set; none is if the line changes at most the last event
// ID.
type Part struct {
	Event   *Event
	Comment *string
	Retry   string // the reconnection time in milliseconds, which are decimal digits
	Unknown bool   // the line has a field that no client knows

	// LastID is the client's last event ID.
	LastID string
}

// EventReader parses an event stream (WHATWG HTML, section 9.2.6). It shares no code
// with parker, so that a mistake in one does not hide a mistake in the other.
type EventReader struct {
	stream  *bufio.Reader
	begun   bool
	afterCR bool // the last line ended with CR, so a LF that follows belongs to it

	id, eventType, lastID string
	data                  []string // nil if there is none
}

// NewEventReader returns a reader for a client that has no last event ID yet.
func NewEventReader(stream io.Reader) *EventReader {
	return &EventReader{stream: bufio.NewReader(stream)}
}

// Next returns the next part of the stream. The error is [io.EOF] if the stream has
// ended. A line or an event that is incomplete by then is dropped.
func (r *EventReader) Next() (Part, error) {
	for {
		line, err := r.line()
		if err != nil {
			return Part{}, err
		}
		if part, some := r.take(line); some {
			part.LastID = r.lastID
			return part, nil
		}
	}
}

// take processes a line. some is false if the line is only a part of an event.
func (r *EventReader) take(line string) (part Part, some bool) {
	if line == "" {
		return r.dispatch(), true
	}
	name, value, colon := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "":
		if colon {
			return Part{Comment: &value}, true
		}
	case "data":
		r.data = append(r.data, value)
	case "event":
		r.eventType = value
	case "id":
		if !strings.Contains(value, "\x00") {
			r.id = value
		}
	case "retry":
		if value != "" && strings.Trim(value, "0123456789") == "" {
			return Part{Retry: value}, true
		}
	default:
		return Part{Unknown: true}, true
	}
	return Part{}, false
}

// dispatch ends an event.
func (r *EventReader) dispatch() (part Part) {
	r.lastID = r.id
	if r.data != nil {
		part.Event = &Event{r.id, r.eventType, strings.Join(r.data, "\n")}
	}
	r.data, r.eventType = nil, ""
	return part
}

// line returns the next line, which ends with LF, CR or CRLF.
func (r *EventReader) line() (string, error) {
	var line []byte
	for {
		if _, err := r.stream.Peek(1); err != nil {
			return "", err
		}
		buffered, _ := r.stream.Peek(r.stream.Buffered())
		if r.afterCR && buffered[0] == '\n' {
			r.stream.Discard(1)
			r.afterCR = false
			continue
		}
		r.afterCR = false
		end, found := endOfLine(buffered)
		line = append(line, buffered[:end]...)
		if !found {
			r.stream.Discard(end)
			continue
		}
		r.afterCR = buffered[end] == '\r'
		r.stream.Discard(end + 1)
		return r.decode(line), nil
	}
}

func endOfLine(text []byte) (end int, found bool) {
	end = len(text)
	if lf := bytes.IndexByte(text, '\n'); lf >= 0 {
		end, found = lf, true
	}
	if cr := bytes.IndexByte(text[:end], '\r'); cr >= 0 {
		end, found = cr, true
	}
	return end, found
}

// decode decodes UTF-8: it drops a byte order mark at the start of the stream, and
// replaces each invalid byte with U+FFFD.
func (r *EventReader) decode(line []byte) string {
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	if utf8.Valid(line) {
		return string(line)
	}
	return string([]rune(string(line)))
}
