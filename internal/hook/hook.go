// Package hook implements the HTTP endpoint at which applications publish events and
// look up waiting requests. It restricts access, reads messages, and answers requests
// that it refuses with a problem body (RFC 9457).
package hook

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/lot"
)

// Board publishes events for a [Hook] and reports waiting requests.
type Board interface {
	// Publish publishes an event. It must limit its own duration, because ctx is not
	// canceled when the client leaves. It must log errors, because the client is not
	// told their cause.
	Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error)

	// Position returns the position of the newest event.
	Position() brokers.Position

	// Waiting counts the waiting requests and streams of a channel.
	Waiting(channel string) lot.Waiting

	// WaitingAfter returns up to limit channels with waiting requests whose names begin
	// with prefix and sort after the name after, in order of the bytes of their names.
	WaitingAfter(prefix, after string, limit int) []lot.ChannelWaiting
}

// Hook is the HTTP handler of the hook.
type Hook struct {
	board      Board
	maxMessage int64
	gate       *Gate
}

// New returns a hook. tokens and allow restrict access as in [NewGate]. maxMessage is
// the maximum size of a message in bytes.
func New(board Board, tokens, allow []string, maxMessage int64) (*Hook, error) {
	gate, err := NewGate(tokens, allow)
	if err != nil {
		return nil, err
	}
	gate.Directive = "parker_publish"
	return &Hook{board: board, maxMessage: maxMessage, gate: gate}, nil
}

// ServeHTTP answers a request: POST and PUT publish, GET and HEAD report, and all other
// methods are refused.
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
		// The malformed part could be the channel.
		return refuse(http.StatusBadRequest, "The query is malformed.")
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

// channelOf returns the channel of a request: the value of ?channel= if given, otherwise
// the decoded path without its first slash. The path is not cleaned: //x is the channel
// /x.
func channelOf(r *http.Request, query url.Values) (string, *Problem) {
	channel := strings.TrimPrefix(r.URL.Path, "/")
	switch named := query["channel"]; len(named) {
	case 0:
	case 1:
		channel = named[0]
	default:
		return "", refuse(http.StatusBadRequest, "The query contains ?channel= more than once.")
	}
	if err := brokers.CheckChannel(channel); err != nil {
		return "", refuse(http.StatusBadRequest, "Invalid channel: "+err.Error()+
			". The channel is the path without its leading slash, or the value of ?channel=.")
	}
	return channel, nil
}
