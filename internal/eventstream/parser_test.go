package eventstream

import (
	"strconv"
	"strings"
)

// heard is what a client parses from a stream.
type heard struct {
	events  []dispatched
	lastID  string
	waits   []int // reconnection times, in milliseconds
	ignored int   // lines with an unknown field
}

type dispatched struct {
	id, eventType, data string
}

// hear parses a whole stream as specified in section 9.2.6. It shares no code with the
// package.
func hear(stream []byte) heard {
	// UTF-8 decode removes one byte order mark and replaces invalid bytes with U+FFFD.
	text := string([]rune(strings.TrimPrefix(string(stream), "\uFEFF")))

	var h heard
	var data, eventType, lastID string
	dispatch := func() {
		h.lastID = lastID
		if data == "" {
			eventType = ""
			return
		}
		event := dispatched{lastID, "message", strings.TrimSuffix(data, "\n")}
		if eventType != "" {
			event.eventType = eventType
		}
		h.events = append(h.events, event)
		data, eventType = "", ""
	}
	field := func(name, value string) {
		switch name {
		case "event":
			eventType = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				lastID = value
			}
		case "retry":
			if value != "" && strings.Trim(value, "0123456789") == "" {
				if wait, err := strconv.Atoi(value); err == nil {
					h.waits = append(h.waits, wait)
				}
			}
		default:
			h.ignored++
		}
	}
	// Lines end with CRLF, LF or CR. A line or event that is incomplete at the end of the
	// stream is discarded.
	var line strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\r' && text[i] != '\n' {
			line.WriteByte(text[i])
			continue
		}
		if text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			i++
		}
		name, value, colon := strings.Cut(line.String(), ":")
		switch {
		case line.Len() == 0:
			dispatch()
		case !colon:
			field(name, "")
		case name != "":
			field(name, strings.TrimPrefix(value, " "))
		}
		line.Reset()
	}
	return h
}
