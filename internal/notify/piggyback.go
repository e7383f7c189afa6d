package notify

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
)

// Piggyback has an answer tell the client where events stand: Parker-Position.
func Piggyback(w http.ResponseWriter, position brokers.Position) http.ResponseWriter {
	p := &piggyback{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		position:              position.String(),
	}
	p.put() // here for the answer that Caddy makes of a route's error
	return p
}

// piggyback adds the field again when the header is sent: the route may have put
// away what was in it before.
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

// ReadFrom copies as fast as the client's writer can.
func (p *piggyback) ReadFrom(r io.Reader) (int64, error) {
	p.begin()
	return p.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError flushes, the header first.
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
