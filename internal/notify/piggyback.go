package notify

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
)

// Piggyback returns a writer that adds the position to the answer's header, as
// Parker-Position.
func Piggyback(w http.ResponseWriter, position brokers.Position) http.ResponseWriter {
	p := &piggyback{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		position:              position.String(),
	}
	p.put() // for the answer that Caddy writes if the route returns an error
	return p
}

// piggyback adds the field again when the header is sent, because the route may have
// replaced the header.
type piggyback struct {
	*caddyhttp.ResponseWriterWrapper
	position string
	sent     bool
}

func (p *piggyback) WriteHeader(status int) {
	if !p.sent && status >= 200 {
		p.sent = true
		p.put()
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *piggyback) put() { p.Header().Set("Parker-Position", p.position) }

func (p *piggyback) Write(b []byte) (int, error) {
	p.begin()
	return p.ResponseWriter.Write(b)
}

// ReadFrom uses the ReadFrom of the client's writer, which may be faster than Write.
func (p *piggyback) ReadFrom(r io.Reader) (int64, error) {
	p.begin()
	return p.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError flushes the answer. It sends the header first if that is not sent yet.
func (p *piggyback) FlushError() error {
	p.begin()
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *piggyback) begin() {
	if !p.sent {
		p.WriteHeader(http.StatusOK)
	}
}

// Interface guards
var (
	_ http.ResponseWriter = (*piggyback)(nil)
	_ io.ReaderFrom       = (*piggyback)(nil)
)
