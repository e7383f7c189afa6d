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

// maxLine is how long a line of an event stream may be.
const maxLine = 64 << 20

// eventReader reads an event stream as browsers do: WHATWG HTML, section 9.2.6.
type eventReader struct {
	lines *bufio.Scanner
	begun bool

	lastID string        // the last event ID, also where an ID came alone
	retry  time.Duration // how long the server asks to wait before the next attempt; 0: it does not
}

// newEventReader reads a stream whose client has heard of lastID before.
func newEventReader(stream io.Reader, lastID string) *eventReader {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	lines.Split(new(lineSplitter).split)
	return &eventReader{lines: lines, lastID: lastID}
}

// next returns the next event. The error is [io.EOF] where the stream has ended; an
// event that is not whole by then is none.
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

// lineSplitter ends lines at CR, LF and CRLF, as a [bufio.SplitFunc].
type lineSplitter struct {
	afterCR bool // a LF that comes next belongs to the line before
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
		return len(data), nil, nil // a line that is not whole is none
	}
	return begin, nil, nil
}
