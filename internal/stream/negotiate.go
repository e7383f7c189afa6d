package stream

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/poll"
)

// Wanted reports whether a request is for an event stream: its client prefers one to other
// forms of the answer, and the answer can have a body. only is true if the client accepts
// nothing else, as an EventSource does.
func Wanted(r *http.Request) (wanted, only bool) {
	if p := poll.StreamOf(r); p != nil && asksForAnything(p) {
		return true, false // the client wanted one, and the field has been changed since
	}
	if r.Method == http.MethodHead || r.Method == http.MethodConnect || !field.Prefers(r.Header, eventstream.MediaType) {
		return false, false
	}
	return true, field.AcceptsOnly(r.Header, eventstream.MediaType)
}

// Accept makes a backend that does not know event streams answer a request for one: an
// EventSource accepts nothing else, and asks for compression.
func Accept(header http.Header) {
	if !field.Accepts(header, "*/*") {
		header.Set("Accept", strings.Join(append(header["Accept"], "*/*;q=0.1"), ", "))
	}
	header.Set("Accept-Encoding", "identity")
}

var anything = []string{"*/*"}

func asksForAnything(p *poll.Poll) bool {
	return slices.Equal(p.Asker.Request.Field("Accept"), anything)
}

// orAnything asks once more if the backend has none of the media types that it was asked
// for. Some backends find nothing acceptable in a request for an event stream, whatever
// else it accepts. From then on the stream asks for anything.
func orAnything(p *poll.Poll, reply asker.Reply, ask func() asker.Reply) asker.Reply {
	if !isNotAcceptable(reply) || asksForAnything(p) {
		return reply
	}
	p.Asker.SetField("Accept", slices.Clone(anything))
	return ask()
}

// isNotAcceptable reports whether the backend has answered so (RFC 9110, section 15.5.7).
func isNotAcceptable(r asker.Reply) bool {
	switch r.Kind {
	case asker.News:
		return r.Answer.Status == http.StatusNotAcceptable
	case asker.Failed:
		return asker.StatusOf(r.Err) == http.StatusNotAcceptable
	}
	return false
}
