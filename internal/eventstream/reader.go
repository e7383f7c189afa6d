package eventstream

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// Reader reads the events of a stream, as browsers do (WHATWG HTML, section 9.2.6).
type Reader struct {
	// LastID is the client's last event ID. It may change without an event.
	LastID string

	// Retry is the reconnection time that the server has set.
	Retry time.Duration

	stream   io.Reader
	follower Follower
	buffer   []byte
	unread   []byte // the part of the stream that has been read and not yet used
	err      error  // from the stream; it comes after unread
	long     []byte // a line that is longer than one piece of the stream
}

// The size of the buffer, and the maximum length of a line.
const (
	bufferSize = 4 << 10
	maxLine    = 64 << 20
)

var errLineTooLong = errors.New("a line of the event stream is too long")

// NewReader returns a reader of a stream. A client that reconnects sets LastID and Retry.
func NewReader(stream io.Reader) *Reader {
	return &Reader{stream: stream, buffer: make([]byte, bufferSize)}
}

// Next returns the next event. Its ID is the client's last event ID. The error is [io.EOF]
// if the stream has ended. An event that is incomplete by then is dropped.
func (r *Reader) Next() (Event, error) {
	var event Event
	id, some := r.LastID, false
	for {
		line, err := r.line()
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			r.LastID = id
			if some {
				event.ID = id
				return event, nil
			}
			event.Type = ""
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if some {
				event.Data = append(event.Data, '\n')
			}
			event.Data, some = append(event.Data, value...), true
		case "event":
			event.Type = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				id = string(value)
			}
		case "retry":
			if wait, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.Retry = time.Duration(wait) * time.Millisecond
			}
		}
	}
}

// line returns the next line, without its end. It is valid until the next call. A line
// that is incomplete at the end of the stream is dropped.
func (r *Reader) line() ([]byte, error) {
	for r.long = r.long[:0]; ; {
		if len(r.unread) == 0 {
			if err := r.read(); err != nil {
				return nil, err
			}
			continue
		}
		part, rest, ended := r.follower.next(r.unread)
		r.unread = rest
		if ended && len(r.long) == 0 {
			return part, nil
		}
		if r.long = append(r.long, part...); ended {
			return r.long, nil
		}
		if len(r.long) > maxLine {
			return nil, errLineTooLong
		}
	}
}

// read reads the next piece of the stream.
func (r *Reader) read() error {
	if r.err != nil {
		return r.err
	}
	var n int
	n, r.err = r.stream.Read(r.buffer)
	r.unread = r.follower.skipMark(r.buffer[:n])
	return nil
}
