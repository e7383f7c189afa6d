package command

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// maxLine is the maximum length of a line of an event stream.
const maxLine = 64 << 20

// eventReader parses an event stream as browsers do (WHATWG HTML, section 9.2.6).
type eventReader struct {
	lines *bufio.Scanner
	begun bool

	lastID string        // the last event ID, which may come without an event
	retry  time.Duration // the reconnection time that the server has set, or 0
}

// newEventReader returns a reader for a client whose last event ID so far is lastID.
func newEventReader(stream io.Reader, lastID string) *eventReader {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	lines.Split(new(lineSplitter).split)
	return &eventReader{lines: lines, lastID: lastID}
}

// next returns the next event. The error is [io.EOF] if the stream has ended. An event
// that is incomplete by then is dropped.
func (r *eventReader) next() (eventstream.Event, error) {
	var event eventstream.Event
	id, some := r.lastID, false
	for r.lines.Scan() {
		line := r.lines.Text()
		if !r.begun {
			r.begun = true
			line = strings.TrimPrefix(line, "\uFEFF")
		}
		if line == "" {
			r.lastID = id
			if some {
				event.ID = id
				return event, nil
			}
			event.Type = ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			if some {
				event.Data = append(event.Data, '\n')
			}
			event.Data, some = append(event.Data, value...), true
		case "event":
			event.Type = value
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			if wait, err := strconv.ParseUint(value, 10, 31); err == nil {
				r.retry = time.Duration(wait) * time.Millisecond
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return eventstream.Event{}, err
	}
	return eventstream.Event{}, io.EOF
}

// lineSplitter splits a stream into lines that end with CR, LF or CRLF. Its method
// split is a [bufio.SplitFunc].
type lineSplitter struct {
	afterCR bool // the last line ended with CR, so a LF that follows belongs to it
}

func (s *lineSplitter) split(data []byte, atEOF bool) (advance int, line []byte, err error) {
	begin := 0
	if s.afterCR && len(data) > 0 {
		s.afterCR = false
		if data[0] == '\n' {
			begin = 1
		}
	}
	length := bytes.IndexAny(data[begin:], "\r\n")
	switch {
	case length >= 0:
		s.afterCR = data[begin+length] == '\r'
		return begin + length + 1, data[begin : begin+length], nil
	case atEOF:
		return len(data), nil, nil // an incomplete line is dropped
	}
	return begin, nil, nil
}
