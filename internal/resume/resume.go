// Package resume finds out what a client has missed, from the position that it names.
package resume

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
)

// State is what a client knows of the events on its channels.
type State struct {
	// Position is the position from which the client resumes, if Given is true.
	Given    bool
	Position brokers.Position

	// Batch is true if the client wants all messages that it has missed in one answer.
	Batch bool

	// Start is the position of the newest event when the request began, or the zero value
	// if the client is not told of positions.
	Start brokers.Position

	// Lost is true if the events after the client's position are no longer all known.
	Lost bool

	checked bool // Lost is known
}

// The query parameters that can name a position, because a page cannot set header fields of
// an EventSource. Replacements for EventSource in old browsers use the second one.
const (
	parameter         = "last_event_id"
	parameterOfOthers = "lastEventId"
)

// Of reads a request: the position from the field Last-Event-ID, or from the query
// parameters last_event_id or lastEventId, and whether a client that accepts JSON wants a
// batch (batch=true). A value that is not a position of parker, such as an ID of the
// backend's own events, is ignored.
func Of(r *http.Request) State {
	var s State
	s.name(r.Header.Get("Last-Event-Id")) // as net/http spells it
	raw := r.URL.RawQuery
	if strings.Contains(raw, parameter+"=") || strings.Contains(raw, parameterOfOthers+"=") || strings.Contains(raw, "batch=") {
		query := r.URL.Query()
		s.name(query.Get(parameter))
		s.name(query.Get(parameterOfOthers))
		s.Batch = query.Get("batch") == "true" && field.Accepts(r.Header, "application/json")
	}
	return s
}

// name makes a text the client's position, if it is one and none was named before.
func (s *State) name(text string) {
	if s.Given || text == "" {
		return
	}
	if position, err := brokers.ParsePosition(text); err == nil {
		s.Given, s.Position = true, position
	}
}

// Forget removes all that an answer could tell about events. The client keeps the position
// that it has.
func (s *State) Forget() { *s = State{Start: s.Start, checked: s.checked} }

// Recheck makes [State.IsLost] look at the history again, from a new start.
func (s *State) Recheck(start brokers.Position) { s.Start, s.checked = start, false }

// Begin makes the client begin anew at a position, after events were lost.
func (s *State) Begin(at brokers.Position) { s.checked, s.Lost, s.Start = true, true, at }

// History is what is remembered of the events on a request's channels.
type History struct {
	Broker interface {
		Events(ctx context.Context, channels []string, after brokers.Position, limit int) (events []brokers.Event, complete bool, err error)
	}
	Channels []string
	Interest lot.Interest
}

// Read returns the events after a position, with at most limit messages. If they are no
// longer all known, it returns none and sets s.Lost.
func (s *State) Read(ctx context.Context, h History, after brokers.Position, limit int) []brokers.Event {
	events, complete, err := h.Broker.Events(ctx, h.Channels, after, limit)
	s.checked, s.Lost = true, err != nil || !complete
	if s.Lost {
		return nil
	}
	if h.Interest == lot.MessagesOnly {
		events = slices.DeleteFunc(events, func(e brokers.Event) bool { return e.Message == nil })
	}
	return events
}

// IsLost reports whether the events after the client's position are no longer all known.
func (s *State) IsLost(ctx context.Context, h History) bool {
	if s.Given && !s.checked {
		s.Read(ctx, h, s.Position, 1)
	}
	return s.Lost
}

// maxMissed is the maximum number of messages in a batch. [answer.WriteBatch] limits its
// size in bytes.
const maxMissed = 1000

// Missed returns the messages that the client has missed. ok is true if there are any, or
// if the events after the client's position are no longer all known.
func (s *State) Missed(ctx context.Context, h History) (missed []brokers.Event, ok bool) {
	if !s.Given {
		return nil, false
	}
	if s.Lost && s.checked {
		return nil, true
	}
	limit := 1
	if s.Batch {
		limit = maxMissed
	}
	for _, event := range s.Read(ctx, h, s.Position, limit) {
		if event.Message != nil && h.Interest != lot.WakeUps {
			missed = append(missed, event)
		}
	}
	return missed, s.Lost || len(missed) > 0
}
