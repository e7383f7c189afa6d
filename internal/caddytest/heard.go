package caddytest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// All is what is heard up to the stream's end: the events, the client's last event
// ID, or empty if it was told none, and how the stream ended: nil if cleanly.
func (s *Stream) All(t testing.TB) (events []Event, lastID string, err error) {
	t.Helper()
	timeout := time.After(Patience)
	for {
		select {
		case h, ok := <-s.heard:
			if !ok {
				return events, lastID, s.end
			}
			if h.lastID != "" {
				lastID = h.lastID
			}
			if h.event != nil {
				events = append(events, *h.event)
			}
		case <-timeout:
			t.Fatalf("the stream goes on; so far: %v", events)
		}
	}
}

// ListenBy is Listen by another method and with a body.
func ListenBy(t testing.TB, method, url, body string, header ...string) *Stream {
	t.Helper()
	return ListenWith(t, asking{method, body}, url, header...)
}

// asking makes a GET another request.
type asking struct{ method, body string }

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	other, err := http.NewRequestWithContext(r.Context(), a.method, r.URL.String(), strings.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	other.Header = r.Header
	return http.DefaultTransport.RoundTrip(other)
}

// NextOfAny is the client's last event ID once that is another than the one given,
// and the event that brings it, if one does.
func (s *Stream) NextOfAny(t testing.TB, old string) (lastID string, event *Event) {
	t.Helper()
	for {
		if h := s.next(t); h.event != nil || h.lastID != old {
			return h.lastID, h.event
		}
	}
}
