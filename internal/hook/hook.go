// Package hook is the HTTP face at which applications publish, and see who
// waits. It decides who may, reads what is published, and answers each refusal
// with a problem body (RFC 9457).
package hook

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-parker/parker/brokers"
)

// Board is where a [Hook] publishes, and what it reports from.
type Board interface {
	// Publish makes an event. It limits by itself how long it takes: ctx does not
	// end when the client leaves. The client is told only that it failed, so the
	// Board logs why.
	Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error)

	// Position is where events stand now.
	Position() brokers.Position

	// Waiting counts who waits on the channel.
	Waiting(channel string) Waiting

	// Channels lists up to limit of the channels that anyone waits on and that begin
	// with a prefix, in order of their names' bytes, beginning behind the name after.
	Channels(prefix, after string, limit int) []ChannelWaiting
}

// Waiting counts who waits on a channel.
type Waiting struct {
	// Requests is how many requests are parked.
	Requests int `json:"waiting"`

	// Streams is how many Server-Sent Events streams are open.
	Streams int `json:"streams"`
}

// ChannelWaiting is a channel and who waits on it.
type ChannelWaiting struct {
	Channel string `json:"channel"`
	Waiting
}

// Hook serves one site's hook.
type Hook struct {
	board      Board
	maxMessage int64
	gate       *Gate
}

// New makes a hook behind a [Gate] of these tokens and addresses. maxMessage is the
// largest message, in bytes.
func New(board Board, tokens, allow []string, maxMessage int64) (*Hook, error) {
	gate, err := NewGate(tokens, allow)
	if err != nil {
		return nil, err
	}
	gate.Directive = "parker_publish"
	return &Hook{board: board, maxMessage: maxMessage, gate: gate}, nil
}

// ServeHTTP answers every request itself: POST and PUT publish, GET and HEAD
// report, all others are refused.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if refusal := h.serve(w, r); refusal != nil {
		refusal.Answer(w, r)
	}
}

func (h *Hook) serve(w http.ResponseWriter, r *http.Request) *Problem {
	if refusal := h.gate.Admit(w, r); refusal != nil {
		return refusal
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		// A pair that is left out could be the channel.
		return refuse(http.StatusBadRequest, "The query cannot be read.")
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		return h.publish(w, r, query)
	case http.MethodGet, http.MethodHead:
		return h.report(w, r, query)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, PUT")
		return MethodNotAllowed("POST and PUT publish, GET and HEAD report.")
	}
}

// channelOf is the channel that a request is about: ?channel= where it is given,
// whatever the path, else the decoded path without its one leading slash.
// Nothing is cleaned: //x is the channel /x.
func channelOf(r *http.Request, query url.Values) (string, *Problem) {
	channel := strings.TrimPrefix(r.URL.Path, "/")
	switch named := query["channel"]; len(named) {
	case 0:
	case 1:
		channel = named[0]
	default:
		return "", refuse(http.StatusBadRequest, "A request is about one channel, and ?channel= names several.")
	}
	if err := brokers.CheckChannel(channel); err != nil {
		return "", refuse(http.StatusBadRequest, "Not a channel: "+err.Error()+
			". It is the path without its leading slash, or the value of ?channel=.")
	}
	return channel, nil
}
