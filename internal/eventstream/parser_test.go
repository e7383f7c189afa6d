package eventstream

import (
	"bytes"
	"strconv"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// heard is what a client parses from a stream.
type heard struct {
	events  []dispatched
	lastID  string
	waits   []int // reconnection times, in milliseconds
	ignored int   // lines with an unknown field
}

type dispatched struct {
	id, eventType, data string
}

// hear parses a whole stream with a parser that shares no code with the package.
func hear(stream []byte) (h heard) {
	parts := caddytest.NewEventReader(bytes.NewReader(stream))
	for part, err := parts.Next(); err == nil; part, err = parts.Next() {
		h.lastID = part.LastID
		if e := part.Event; e != nil {
			event := dispatched{e.ID, "message", e.Data}
			if e.Type != "" {
				event.eventType = e.Type
			}
			h.events = append(h.events, event)
		}
		if wait, err := strconv.Atoi(part.Retry); err == nil {
			h.waits = append(h.waits, wait)
		}
		if part.Unknown {
			h.ignored++
		}
	}
	return h
}
