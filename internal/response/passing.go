// Package response takes care of an answer that comes from the backend bit by bit,
// such as the backend's own event stream: each bit reaches the client at once, no
// time limit of the server ends the answer, and a client that does not read does
// not hold the backend for ever.
package response

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// writeTimeout is how long the client may take to accept what is written, up to
// writeSize bytes at a time, where the operator sets no shorter limit.
const writeTimeout = 30 * time.Second

const writeSize = 64 << 10

// Writer passes an answer on to the client. Each write is flushed. On an event
// stream, a comment follows each silent interval, between whole events only.
//
// It has the route's deadline for writing (http.ResponseController) where that is
// earlier than its own.
type Writer struct {
	*caddyhttp.ResponseWriterWrapper // the client's

	care    care
	limits  *Limits
	timeout time.Duration // of a single write
	restore func()        // puts the server's limits on single writes back

	stopping   atomic.Bool
	connection *http.ResponseController // the server's own, to interrupt a write

	ending sync.Mutex // guards over; held after mu, and for no write
	over   bool       // the request's handler may have returned

	// mu guards all below and the client's writer, to which the timer writes too:
	// one of them at a time, and so mu is held while it writes. That takes no
	// longer than the timeout for each writeSize bytes.
	mu         sync.Mutex
	controller *http.ResponseController
	deadline   time.Time // the route's own; zero: none
	boundary   eventstream.Follower
	sent       bool // the header is
	unflushed  bool
	timer      *time.Timer // for the next heartbeat; nil: there is none
	last       time.Time   // when the client was last written to
	err        error       // why the client takes no more
	closed     bool
	end        func() // ends the backend's stream, once the server stops
	ended      bool   // it has
}

// Attend takes care of an answer with this status, whose header is in the
// client's writer and has not been sent: it changes the header, lifts the limits,
// and returns what to write the answer to, its header first. The caller
// closes the Writer before the request's handler returns, panicking or not.
//
// An answer that needs no care is left alone, and the Writer is nil.
//
// An event stream that has no heartbeats, for heartbeat is 0 or its bytes must
// stay as they are, keeps its Content-Length.
func Attend(client http.ResponseWriter, r *http.Request, limits *Limits, status int, heartbeat time.Duration) *Writer {
	care, needed := careFor(r.Method, status, client.Header(), heartbeat)
	if !needed {
		return nil
	}
	care.put(client.Header())
	w := &Writer{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: client},
		care:                  care,
		limits:                limits,
		timeout:               limits.OneWrite(writeTimeout),
		controller:            http.NewResponseController(client),
	}
	w.connection = w.controller
	limits.Lift()
	// What is left of Caddy's limits: how long a single write takes, and how many
	// bytes a second are the least, which silence is not.
	if _, writer := caddyhttp.IdleTimeoutsFromContext(r.Context()); writer != nil {
		w.restore = writer.Override(w.timeout, 0, 0)
		w.connection = writer.Ctrl
	}
	return w
}

// WriteHeader sends the header at once.
func (w *Writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *Writer) writeHeader(status int) {
	if w.sent {
		return
	}
	w.ResponseWriter.WriteHeader(status)
	if status < 200 {
		return
	}
	w.sent, w.unflushed = true, true
	// Without a type, the server tells it from the first bytes.
	if _, ok := w.Header()["Content-Type"]; ok {
		w.err = w.within(w.flush)
	}
	if w.care.heartbeat > 0 && !w.closed {
		w.last = time.Now()
		w.timer = time.AfterFunc(w.care.heartbeat, w.beat)
	}
}

// Write returns when the client has been sent the bytes, or takes no more.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	if w.care.heartbeat == 0 {
		return w.send(p)
	}
	// What is sent may be shorter than p, or longer, by a byte order mark.
	if n, err := w.send(w.boundary.Follow(p)); err != nil {
		return min(n, len(p)), err
	}
	w.endBetween()
	return len(p), nil
}

// send writes and flushes. The caller holds mu.
func (w *Writer) send(p []byte) (n int, err error) {
	for chunk := range slices.Chunk(p, writeSize) {
		err = w.within(func() error {
			written, err := w.ResponseWriter.Write(chunk)
			n += written
			w.unflushed = true
			if err != nil {
				return err
			}
			return w.flush()
		})
		if err != nil {
			break
		}
	}
	w.last, w.err = time.Now(), err
	return n, err
}

// within has write end in time. The caller holds mu.
func (w *Writer) within(write func() error) error {
	deadline := time.Now().Add(w.patience())
	if !w.deadline.IsZero() && w.deadline.Before(deadline) {
		deadline = w.deadline
	}
	// A writer that knows no deadlines has none to keep.
	_ = w.controller.SetWriteDeadline(deadline)
	// Left in force, it would reset an HTTP/2 stream in its next silence, and end
	// the next answer of an HTTP/1.1 connection.
	defer func() { _ = w.controller.SetWriteDeadline(w.deadline) }()
	return write()
}

// flush sends what is buffered, if anything is. The caller holds mu.
func (w *Writer) flush() error {
	if !w.unflushed {
		return nil
	}
	w.unflushed = false
	if err := w.controller.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// ReadFrom copies by Write, so that nothing waits for more.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, r)
}

// FlushError sends the header if that is all there is.
func (w *Writer) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	if w.err == nil {
		w.err = w.within(w.flush)
	}
	return w.err
}

// SetWriteDeadline is for the route, through http.ResponseController.
func (w *Writer) SetWriteDeadline(deadline time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = deadline
	return w.controller.SetWriteDeadline(deadline)
}

// Hijack hands the connection over: what is written from then on is no longer
// parker's business.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	conn, buffered, err := w.controller.Hijack()
	if err == nil {
		w.stop()
	}
	return conn, buffered, err
}

// beat puts a comment in after a silent interval. It runs on the timer's own
// goroutine.
func (w *Writer) beat() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.err != nil {
		return
	}
	if silent := time.Since(w.last); silent < w.care.heartbeat {
		w.timer.Reset(w.care.heartbeat - silent)
		return
	}
	if w.boundary.Between() {
		if _, err := w.send(heartbeat); err != nil {
			return // the route's next write tells it
		}
	}
	w.timer.Reset(w.care.heartbeat)
}

var heartbeat = eventstream.AppendComment(nil, "")

// stop ends the heartbeat. The caller holds mu, and so none is being written.
func (w *Writer) stop() {
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// Close ends the care and puts the limits in force again. It waits for a
// heartbeat that is being written; none is written afterwards. To close a nil
// Writer, or one a second time, does nothing.
func (w *Writer) Close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ending.Lock()
	w.over = true
	w.ending.Unlock()
	if w.closed {
		return
	}
	w.stop()
	if w.restore != nil {
		w.restore()
	}
	w.limits.Impose()
}

// Interface guards
var (
	_ http.ResponseWriter = (*Writer)(nil)
	_ io.ReaderFrom       = (*Writer)(nil)
	_ http.Hijacker       = (*Writer)(nil)
)
