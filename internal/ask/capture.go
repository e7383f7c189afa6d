package ask

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/response"
)

// maxExtended is how often the wait for the end of a complete answer is extended. A script
// may run on for long after its answer.
const maxExtended = 4

// stage is what becomes of an answer.
type stage uint8

const (
	keeping   stage = iota // it is held back until it has ended
	streaming              // it goes to the client as it comes
	dropping               // it is discarded
)

// capture is the response writer of the route. Its header is not the client's, so that an
// answer that is not sent leaves no trace there.
type capture struct {
	caddyhttp.ResponseWriterWrapper // the client's writer, or attended in front of it

	patience Patience
	observer Observer
	header   http.Header

	// mu guards what follows except waiting, and the client's writer while keeping. See
	// Expired.
	mu     sync.Mutex
	stage  stage
	status int      // 0: no final header yet
	frozen *[]field // the header as the route wrote it, while the answer is held back; else nil
	body   []byte
	flush  bool // the route has flushed what is held back

	attended *response.Live // from the observer, or nil

	waiting  delay.Entry // for the end of the answer
	extended int         // how often the wait has been extended
}

func newCapture(client http.ResponseWriter, observer Observer) *capture {
	return &capture{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: client},
		patience:              observer.Patience(),
		observer:              observer,
		header:                client.Header().Clone(),
	}
}

// Header returns the route's header, not the client's.
func (c *capture) Header() http.Header { return c.header }

// WriteHeader passes an informational answer on. For a final one it decides whether the
// answer is kept.
func (c *capture) WriteHeader(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeHeader(status)
}

func (c *capture) writeHeader(status int) {
	if c.status != 0 || c.stage == dropping {
		return
	}
	if !response.IsFinal(status) {
		c.inform(status)
		return
	}
	c.status = status
	c.observer.Header(status, c.header)
	if status == http.StatusSwitchingProtocols || !c.observer.Keep(status, c.header, nil) {
		c.stream(Unkept)
		return
	}
	c.freeze()
	c.patience.Time.Begin(&c.waiting, c)
}

// frozenHeaders holds lists that are not in use.
var frozenHeaders = sync.Pool{New: func() any { return new([]field) }}

// freeze notes the header, because the route may change it although it is too late. The
// caller holds mu.
func (c *capture) freeze() {
	c.frozen = frozenHeaders.Get().(*[]field)
	for name, values := range c.header {
		*c.frozen = append(*c.frozen, field{name, values})
	}
}

// thaw puts the noted fields into a header, and stops waiting for the end of the answer.
// The caller holds mu.
func (c *capture) thaw(header http.Header) {
	c.stopTimer()
	for _, f := range *c.frozen {
		header[f.name] = f.values
	}
	clear(*c.frozen)
	*c.frozen = (*c.frozen)[:0]
	frozenHeaders.Put(c.frozen)
	c.frozen = nil
}

// inform sends an informational answer with the route's header. The client's header is
// restored for the final answer.
func (c *capture) inform(status int) {
	client := c.ResponseWriter.Header()
	before := maps.Clone(client)
	clear(client)
	maps.Copy(client, c.header)
	response.TakeChannels(client)
	c.ResponseWriter.WriteHeader(status)
	clear(client)
	maps.Copy(client, before)
}

// Expired implements [delay.Owner]: it streams an answer that does not end. It runs in its
// own goroutine, so it must not use the route's header, which the route may be changing.
// An answer that is complete is held back a little longer, because on a busy machine the
// route may take a while to return.
func (c *capture) Expired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage != keeping {
		return
	}
	if c.extended < maxExtended && !c.flush && c.complete() {
		c.extended++
		c.patience.Time.Begin(&c.waiting, c)
		return
	}
	c.flush = true
	c.stream(TooSlow)
}

// complete reports whether the whole body is there (RFC 9112, section 6.3). The caller
// holds mu.
func (c *capture) complete() bool {
	if c.status == http.StatusNoContent || c.status == http.StatusNotModified {
		return true
	}
	for _, f := range *c.frozen {
		if f.name == "Content-Length" {
			return len(f.values) == 1 && f.values[0] == strconv.Itoa(len(c.body))
		}
	}
	return false
}

// stream sends the part of the answer that has arrived to the client. The rest follows as it comes. The
// caller holds mu.
func (c *capture) stream(why Reason) {
	if !c.observer.Stream(c.status, why) {
		c.drop()
		return
	}
	c.stage = streaming
	client := c.ResponseWriter.Header()
	clear(client)
	if c.frozen != nil {
		c.thaw(client)
	} else {
		maps.Copy(client, c.header)
	}
	if c.attended = c.observer.Attend(c.ResponseWriter, c.status); c.attended != nil {
		c.ResponseWriter = c.attended
	}
	c.ResponseWriter.WriteHeader(c.status)
	if len(c.body) > 0 {
		// The next write of the route returns the error if the client has left.
		_, _ = c.ResponseWriter.Write(c.body)
		c.body = nil
	}
	if c.flush {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
	}
}

// stopTimer stops waiting for the end of the answer. The caller holds mu.
func (c *capture) stopTimer() {
	if c.frozen != nil {
		c.patience.Time.End(&c.waiting)
	}
}

// drop discards the answer, and what the route still writes. The caller holds mu.
func (c *capture) drop() {
	c.stopTimer()
	c.stage, c.body = dropping, nil
}

// Write keeps, streams or drops the bytes.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeHeader(http.StatusOK)
	if c.stage == keeping {
		if int64(len(c.body)+len(p)) <= c.patience.Bytes {
			c.body = append(c.body, p...)
			if !c.observer.Keep(c.status, c.header, c.body) {
				c.stream(Unkept)
			}
			return len(p), nil
		}
		c.stream(TooLong)
	}
	if c.stage == dropping {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

// ReadFrom copies with the ReadFrom of the client's writer as soon as the answer streams,
// because that may be much faster than Write.
func (c *capture) ReadFrom(r io.Reader) (n int64, err error) {
	if c.at() != streaming {
		n, err = io.Copy(struct{ io.Writer }{c}, io.LimitReader(r, c.patience.Bytes+1))
		if err != nil || n <= c.patience.Bytes {
			return n, err
		}
	}
	var rest int64
	if c.at() == streaming {
		rest, err = c.ResponseWriterWrapper.ReadFrom(r)
	} else {
		rest, err = io.Copy(io.Discard, r)
	}
	return n + rest, err
}

func (c *capture) at() stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stage
}

// FlushError flushes an answer that streams. One that is held back is flushed if it streams
// later.
func (c *capture) FlushError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeHeader(http.StatusOK)
	if c.stage != streaming {
		c.flush = true
		return nil
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Hijack gives the connection to the route, which writes the answer to it.
func (c *capture) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage == keeping {
		if !c.observer.Stream(http.StatusSwitchingProtocols, Unkept) {
			return nil, nil, http.ErrNotSupported
		}
		c.stopTimer()
		c.stage = streaming
	}
	return http.NewResponseController(c.ResponseWriter).Hijack()
}

// end makes sure that nothing writes to the client any more, even if the route panics.
func (c *capture) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage == keeping {
		c.drop()
	}
	c.attended.Close()
}

// finish returns the result of the ask. It is called when the route has returned, or has
// aborted the answer.
func (c *capture) finish(err error, aborted bool) Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := Result{Err: err, Aborted: aborted}
	switch c.stage {
	case streaming:
		result.Streamed = true
		result.Aborted = aborted && !c.attended.Ended()
		c.attended.Close() // before anything else is done with the header
		maps.Copy(c.ResponseWriter.Header(), trailers(c.header))
	case keeping:
		if c.status == 0 && aborted {
			break
		}
		if c.status == 0 && err != nil {
			result.Prepared = newAnswer(0, c.ResponseWriter.Header(), c.header, nil, nil)
			break
		}
		c.writeHeader(http.StatusOK)
		if c.stage != keeping {
			result.Streamed = c.stage == streaming
			break
		}
		header := make(http.Header, len(*c.frozen))
		c.thaw(header)
		result.Answer = newAnswer(c.status, c.ResponseWriter.Header(), header, c.body, trailers(c.header))
		c.stage = dropping
	}
	return result
}

// Interface guards
var (
	_ http.ResponseWriter = (*capture)(nil)
	_ io.ReaderFrom       = (*capture)(nil)
	_ http.Hijacker       = (*capture)(nil)
	_ delay.Owner         = (*capture)(nil)
)
