// Package eventstream writes, reads and follows event streams (WHATWG HTML, section 9.2).
//
// The Append functions append to a slice, so that an event for many readers is encoded
// once.
package eventstream

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MediaType is the media type of an event stream (WHATWG HTML, section 9.2.5).
const MediaType = "text/event-stream"

// Is reports whether an answer with this header is an event stream.
func Is(header http.Header) bool {
	// This is done for each answer: mime.ParseMediaType takes ten times as long, and allocates.
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), MediaType)
}

// Event is an event of a stream.
type Event struct {
	// ID becomes the client's last event ID, which it sends when it reconnects. If
	// empty, the client keeps its last event ID.
	ID string

	// Type selects the client's listeners that receive the event. If empty, it is
	// "message".
	Type string

	// Data may be empty: clients dispatch the event anyway. CR, LF and CRLF each end
	// a line, and reach the client as LF.
	Data []byte
}

// AppendEvent appends an event. CR, LF and NUL are removed from its ID and type,
// because the format cannot express them.
func AppendEvent(stream []byte, event Event) []byte {
	if event.ID != "" {
		stream = appendField(stream, "id", event.ID)
	}
	if event.Type != "" && event.Type != "message" {
		stream = appendField(stream, "event", event.Type)
	}
	return append(appendData(stream, event.Data), '\n')
}

// AppendID appends a block that sets the client's last event ID without an event. An
// empty id clears it.
func AppendID(stream []byte, id string) []byte {
	return append(appendField(stream, "id", id), '\n')
}

// AppendRetry appends the time that a client waits before it reconnects, in whole
// milliseconds. A negative time counts as 0.
func AppendRetry(stream []byte, wait time.Duration) []byte {
	stream = append(stream, "retry: "...)
	stream = strconv.AppendInt(stream, max(wait, 0).Milliseconds(), 10)
	return append(stream, "\n\n"...)
}

// AppendComment appends a comment of one line, which clients ignore: it only shows that
// the connection is alive. No empty line follows, because some clients would dispatch
// an event without data for it.
func AppendComment(stream []byte, text string) []byte {
	return appendField(stream, "", text)
}

// appendField appends a line. It writes one space after the colon, which clients
// remove. A line without a name is a comment.
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

// appendData appends a data field for each line. For data that ends with a line break
// the last field is empty.
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
