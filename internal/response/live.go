package response

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// writeSize is how much is written at a time, in bytes. Each such write has its own time
// limit, so that a slow client can receive a large one.
const writeSize = 64 << 10

// Live passes on an answer that comes bit by bit. Each write is flushed. No time limit of
// the server ends the answer, but a single write must end in time. Heartbeats fill the
// silence of event streams.
type Live struct {
	caddyhttp.ResponseWriterWrapper // the client's

	ending sync.Mutex // guards over; locked after mu, and not while writing
	over   bool       // the request's handler may have returned

	// mu guards all below and the client's writer, because the timer of the heartbeat
	// writes too. It is locked while writing: for no longer than the time limit of a
	// write, for each writeSize bytes.
	mu        sync.Mutex
	deadlines deadlines
	heartbeat heartbeat
	stop      stop
	sent      bool // the header is sent
	unflushed bool
	err       error // why the client accepts no more
	closed    bool
}

// Attend returns a Live for an answer with the status, whose header is in the client's
// writer and has not been sent. It changes the header for the servers between here and the
// client, and lifts the limits. What is written to the Live begins with the header.
// [Live.Close] must follow before the request's handler returns, even if it panics.
//
// Attend returns nil and does nothing if the answer needs no Live: it is neither an event
// stream nor an answer of unknown length from a backend.
//
// An event stream keeps its Content-Length if it has no heartbeats. That is the case if
// interval is 0, or if its bytes must not be changed.
func Attend(client http.ResponseWriter, r *http.Request, limits *Limits, status int, interval time.Duration) *Live {
	care, needed := careFor(r.Method, status, client.Header(), interval)
	if !needed {
		return nil
	}
	care.put(client.Header())
	l := &Live{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: client}}
	l.heartbeat.interval = care.heartbeat
	l.deadlines.begin(client, r, limits)
	return l
}

// WriteHeader sends the header at once.
func (l *Live) WriteHeader(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeHeader(status)
}

func (l *Live) writeHeader(status int) {
	if l.sent {
		return
	}
	l.ResponseWriter.WriteHeader(status)
	if status < 200 {
		return
	}
	l.sent, l.unflushed = true, true
	// Without a type, the server finds it out from the first bytes.
	if _, ok := l.Header()["Content-Type"]; ok {
		l.err = l.deadlines.keep(l.flush)
	}
	if !l.closed {
		l.heartbeat.begin(l.beat)
	}
}

// Write returns when the bytes are sent to the client, or when the client accepts no more.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeHeader(http.StatusOK)
	if l.err != nil {
		return 0, l.err
	}
	if l.heartbeat.interval == 0 {
		return l.send(p)
	}
	// What is sent may be shorter or longer than p, by a byte order mark.
	if n, err := l.send(l.heartbeat.follower.Follow(p)); err != nil {
		return min(n, len(p)), err
	}
	l.endBetween()
	return len(p), nil
}

// send writes and flushes. The caller holds mu.
func (l *Live) send(p []byte) (n int, err error) {
	for chunk := range slices.Chunk(p, writeSize) {
		err = l.deadlines.keep(func() error {
			written, err := l.ResponseWriter.Write(chunk)
			n += written
			l.unflushed = true
			if err != nil {
				return err
			}
			return l.flush()
		})
		if err != nil {
			break
		}
	}
	l.heartbeat.last, l.err = time.Now(), err
	return n, err
}

// flush sends what is buffered, if anything is. The caller holds mu.
func (l *Live) flush() error {
	if !l.unflushed {
		return nil
	}
	l.unflushed = false
	if err := l.deadlines.controller.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// ReadFrom copies with Write, so that each piece is sent at once.
func (l *Live) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{l}, r)
}

// FlushError sends the header if nothing is sent yet, because writes are flushed anyway.
func (l *Live) FlushError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeHeader(http.StatusOK)
	if l.err == nil {
		l.err = l.deadlines.keep(l.flush)
	}
	return l.err
}

// SetWriteDeadline sets the route's deadline, which is kept if it is earlier than the one
// for a single write.
func (l *Live) SetWriteDeadline(deadline time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deadlines.set(deadline)
}

// Hijack gives the connection to the route, which writes to it from then on.
func (l *Live) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn, buffered, err := l.deadlines.controller.Hijack()
	if err == nil {
		l.close()
	}
	return conn, buffered, err
}

// Close stops the heartbeats and puts the limits in force again. It waits for a heartbeat
// that is being written. Closing again does nothing, nor does closing a nil Live.
func (l *Live) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending.Lock()
	l.over = true
	l.ending.Unlock()
	if !l.closed {
		l.close()
		l.deadlines.end()
	}
}

// close stops the heartbeats. The caller holds mu, so that none is being written.
func (l *Live) close() {
	l.closed = true
	l.heartbeat.end()
}

// Interface guards
var (
	_ http.ResponseWriter = (*Live)(nil)
	_ io.ReaderFrom       = (*Live)(nil)
	_ http.Hijacker       = (*Live)(nil)
)
