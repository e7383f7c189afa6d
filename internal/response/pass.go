package response

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Passing passes an answer on as it comes, and records its status.
type Passing struct {
	caddyhttp.ResponseWriterWrapper // the client's writer, or live in front of it

	attend        Attendant
	request       *http.Request
	position      string
	takesChannels bool
	lingers       bool
	gone          bool // the client has left

	status   int      // 0: no final header yet
	channels []string // that the answer has named in its Parker-Publish field
	live     *Live    // from attend, or nil
}

// Attendant is called before the final header of an answer is sent. If it returns a writer,
// the answer is written to that in place of client. See [Attend].
type Attendant func(client http.ResponseWriter, r *http.Request, status int) *Live

// Options say what a [Passing] does besides recording the status.
type Options struct {
	Attend Attendant // nil: none

	// Position is added to the header as Parker-Position, unless it is empty.
	Position string

	// TakeChannels removes the Parker-Publish field. See [Passing.Channels].
	TakeChannels bool

	// Linger hides from the route that the client has left, so that the route finishes its
	// answer.
	Linger bool
}

// Pass returns a writer that passes the answer to a request on to its client.
// [Passing.Close] must follow if the options have an [Attendant].
func Pass(client http.ResponseWriter, r *http.Request, options Options) *Passing {
	p := &Passing{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: client},
		attend:                options.Attend,
		request:               r,
		position:              options.Position,
		takesChannels:         options.TakeChannels,
		lingers:               options.Linger,
	}
	p.addPosition() // for the answer that Caddy writes if the route returns an error
	return p
}

// Status returns the status of the answer, or 0 if no final header has been written.
func (p *Passing) Status() int { return p.status }

// Channels returns the channels that the answer has named in its Parker-Publish field.
func (p *Passing) Channels() []string { return p.channels }

// Close closes the writer of the [Attendant], if there is one.
func (p *Passing) Close() { p.live.Close() }

// WriteHeader sends the header, without what is only for parker.
func (p *Passing) WriteHeader(status int) {
	if p.status == 0 {
		p.prepare(status)
	}
	if !IsFinal(status) {
		// It is about the answer, not about what comes before.
		report := p.Header()[statusField]
		delete(p.Header(), statusField)
		defer func() {
			if report != nil {
				p.Header()[statusField] = report
			}
		}()
	}
	p.ResponseWriter.WriteHeader(status)
}

const statusField = "Parker-Status"

// prepare changes the header that is about to be sent.
func (p *Passing) prepare(status int) {
	if p.takesChannels { // from informational answers too
		if channels, ok := TakeChannels(p.Header()); ok {
			p.channels = channels
		}
	}
	if !IsFinal(status) {
		return
	}
	p.status = status
	p.addPosition() // again, because the route may have replaced the header
	if p.attend != nil {
		if p.live = p.attend(p.ResponseWriter, p.request, status); p.live != nil {
			p.ResponseWriter = p.live
		}
	}
}

func (p *Passing) addPosition() {
	if p.position != "" {
		p.Header().Set(positionField, p.position)
	}
}

// IsFinal reports whether nothing but the body follows a header with the status: it is not
// informational (RFC 9110, 15.2). After a 101 come the bytes of another protocol.
func IsFinal(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

// begin sends the header if that is not done yet.
func (p *Passing) begin() {
	if p.status == 0 {
		p.WriteHeader(http.StatusOK)
	}
}

func (p *Passing) Write(b []byte) (n int, err error) {
	p.begin()
	if !p.gone {
		n, err = p.ResponseWriter.Write(b)
	}
	if p.hides(err) {
		return len(b), nil
	}
	return n, err
}

// FlushError flushes the answer. It sends the header first if that is not sent yet.
func (p *Passing) FlushError() (err error) {
	p.begin()
	if !p.gone {
		err = http.NewResponseController(p.ResponseWriter).Flush()
	}
	if p.hides(err) {
		return nil
	}
	return err
}

// hides reports whether the route is not to notice an error, because it lingers.
func (p *Passing) hides(err error) bool {
	p.gone = p.gone || p.lingers && err != nil
	return p.gone
}

// ReadFrom copies with the ReadFrom of the client's writer, which may be faster than
// Write, unless the copy must continue without the client.
func (p *Passing) ReadFrom(r io.Reader) (int64, error) {
	if p.lingers {
		return io.Copy(struct{ io.Writer }{p}, r)
	}
	p.begin()
	return p.ResponseWriterWrapper.ReadFrom(r)
}

// Interface guards
var (
	_ http.ResponseWriter = (*Passing)(nil)
	_ io.ReaderFrom       = (*Passing)(nil)
)
