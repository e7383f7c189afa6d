package poll

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
)

// Resume is what a client says of the events that it knows.
type Resume struct {
	// Given says that the client named a position, Position which one.
	Given    bool
	Position brokers.Position

	// Batch says that it wants several of those that it missed in one answer.
	Batch bool
}

// maxMissed is how many messages an answer with several has at most. How many bytes it
// has is for [answer.WriteBatch] to say.
const maxMissed = 1000

// The parameters of a query that can name a position: a page cannot set the fields of an
// EventSource. Replacements for EventSource in old browsers use the second name.
const (
	positionParameter         = "last_event_id"
	positionParameterOfOthers = "lastEventId"
)

// ResumeOf reads it from a request: from the field Last-Event-ID, or from last_event_id or
// lastEventId in the query; and batch=true for a client that accepts JSON. A value that is
// not a position of parker's, such as an ID of the backend's own events, is ignored.
func ResumeOf(r *http.Request) Resume {
	var resume Resume
	resume.name(r.Header.Get("Last-Event-Id")) // as net/http has it: it costs to look for another
	raw := r.URL.RawQuery
	if strings.Contains(raw, positionParameter+"=") || strings.Contains(raw, positionParameterOfOthers+"=") || strings.Contains(raw, "batch=") {
		query := r.URL.Query()
		resume.name(query.Get(positionParameter))
		resume.name(query.Get(positionParameterOfOthers))
		resume.Batch = query.Get("batch") == "true" && field.Accepts(r.Header, "application/json")
	}
	return resume
}

// name takes a text for the position, if it is one and none was named before.
func (resume *Resume) name(text string) {
	if resume.Given || text == "" {
		return
	}
	if position, err := brokers.ParsePosition(text); err == nil {
		resume.Given, resume.Position = true, position
	}
}

// Missed reports whether the client missed something while it was away: messages, or
// events that are no longer known.
func (p *Poll) Missed() (missed []brokers.Event, ok bool) {
	if !p.resume.Given {
		return nil, false
	}
	if p.lost && p.checked {
		return nil, true
	}
	limit := 1
	if p.resume.Batch {
		limit = maxMissed
	}
	events := p.read(p.resume.Position, limit)
	for _, event := range events {
		if event.Message != nil && p.config.Interest != lot.WakeUps {
			missed = append(missed, event)
		}
	}
	return missed, p.lost || len(missed) > 0
}

// read is what the history has for the poll after a position, unless that is lost.
func (p *Poll) read(position brokers.Position, limit int) []brokers.Event {
	events, complete, err := p.config.Broker.Events(p.r.Context(), p.channels, position, limit)
	p.checked, p.lost = true, err != nil || !complete
	if p.lost {
		return nil
	}
	if p.messagesOnly() {
		events = slices.DeleteFunc(events, func(e brokers.Event) bool { return e.Message == nil })
	}
	return events
}

// lostPosition reports whether the events after the client's position are no longer all
// known.
func (p *Poll) lostPosition() bool {
	if p.resume.Given && !p.checked {
		p.read(p.resume.Position, 1)
	}
	return p.lost
}

// Lose makes the poll begin anew after events were lost. A client that has a position is
// told so, and from which position to go on.
func (p *Poll) Lose(at brokers.Position) {
	if p.resume.Given || p.messagesOnly() {
		p.checked, p.lost, p.start = true, true, at
	}
}

// GiveMissed ends the poll with what it missed. If that is not known, the client gets the
// backend's answer, which says so, and from which position to go on.
func (p *Poll) GiveMissed(missed []brokers.Event) error {
	if p.lost {
		return p.GiveAtOnce(answer.Lost)
	}
	p.report.Release = answer.History
	return p.giveMessages(missed)
}

// noContent is the answer of polls that wait for messages alone when there are none. It
// is not changed.
var noContent = &ask.Answer{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}

// noContentAfter is the same in place of an answer, which may be nil. Pages of the origins
// that may read that answer may read this one.
func noContentAfter(kept *ask.Answer) *ask.Answer {
	a := &ask.Answer{Status: noContent.Status, Header: noContent.Header.Clone()}
	if kept != nil {
		answer.AllowOrigins(a.Header, kept.Header)
	}
	return a
}
