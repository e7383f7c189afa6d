// Package eventstream writes event streams, and follows those of others: WHATWG
// HTML, section 9.2.
//
// The functions append to a slice and allocate only where it has no room, so that
// what goes to many readers is encoded once.
package eventstream

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// MediaType is that of an event stream. Section 9.2.5.
const MediaType = "text/event-stream"

// Event is what a client is told.
type Event struct {
	// ID becomes the client's last event ID, which it sends when it connects
	// again. Empty: the client keeps the one it has.
	ID string

	// Type names the listeners that hear the event. Empty stands for message.
	Type string

	// Data may be empty: the event is heard all the same. CR, LF and CRLF each
	// end a line, and reach the client as LF.
	Data []byte
}

// AppendEvent appends an event. CR, LF and NUL in its ID and type, which the
// format has no way to write, are left out.
func AppendEvent(stream []byte, event Event) []byte {
	if event.ID != "" {
		stream = appendField(stream, "id", event.ID)
	}
	if event.Type != "" && event.Type != "message" {
		stream = appendField(stream, "event", event.Type)
	}
	return append(appendData(stream, event.Data), '\n')
}

// AppendID appends what makes id the client's last event ID without an event. An
// empty one has the client forget what it has.
func AppendID(stream []byte, id string) []byte {
	return append(appendField(stream, "id", id), '\n')
}

// AppendRetry appends how long a client waits before it connects again, in whole
// milliseconds.
func AppendRetry(stream []byte, wait time.Duration) []byte {
	stream = append(stream, "retry: "...)
	stream = strconv.AppendInt(stream, max(wait, 0).Milliseconds(), 10)
	return append(stream, "\n\n"...)
}

// AppendComment appends a comment of one line, which clients skip: it only shows
// that the stream lives. No empty line follows it, which some clients would take
// for an event without data.
func AppendComment(stream []byte, text string) []byte {
	return appendField(stream, "", text)
}

// appendField leaves one space behind the colon, as clients take one away. A line
// without a name is a comment.
func appendField(stream []byte, name, value string) []byte {
	stream = append(append(stream, name...), ": "...)
	for {
		at := strings.IndexAny(value, "\r\n\x00")
		if at < 0 {
			return append(append(stream, value...), '\n')
		}
		stream = append(stream, value[:at]...)
		value = value[at+1:]
	}
}

// appendData writes a field for each line, so that data that ends with a line's
// end has an empty one last.
func appendData(stream, data []byte) []byte {
	for {
		stream = append(stream, "data: "...)
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return append(append(stream, data...), '\n')
		}
		stream = append(append(stream, data[:end]...), '\n')
		if bytes.HasPrefix(data[end:], []byte("\r\n")) {
			end++
		}
		data = data[end+1:]
	}
}
