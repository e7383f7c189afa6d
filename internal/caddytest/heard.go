package caddytest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// All returns what arrives up to the end of the stream: the events and the client's
// last event ID, which is empty if there was none. The error is nil if the stream ended
// cleanly.
func (s *Stream) All(t testing.TB) (events []Event, lastID string, err error) {
	t.Helper()
	timeout := time.After(Patience)
	for {
		select {
		case h, ok := <-s.heard:
			if !ok {
				return events, lastID, s.end
			}
			if h.LastID != "" {
				lastID = h.LastID
			}
			if h.Event != nil {
				events = append(events, *h.Event)
			}
		case <-timeout:
			t.Fatalf("the stream has not ended; events so far: %v", events)
		}
	}
}

// ListenBy is like [Listen] with another method and a body.
func ListenBy(t testing.TB, method, url, body string, header ...string) *Stream {
	t.Helper()
	return ListenWith(t, asking{method, body}, url, header...)
}

// asking is a transport that changes the method and the body of a request.
type asking struct{ method, body string }

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	other, err := http.NewRequestWithContext(r.Context(), a.method, r.URL.String(), strings.NewReader(a.body))
	if err != nil {
		return nil, err
	}
	other.Header = r.Header
	return http.DefaultTransport.RoundTrip(other)
}

// NextOfAny returns the client's last event ID once it differs from old, and the event
// that set it, if an event did.
func (s *Stream) NextOfAny(t testing.TB, old string) (lastID string, event *Event) {
	t.Helper()
	for {
		if h := s.next(t); h.Event != nil || h.LastID != old {
			return h.LastID, h.Event
		}
	}
}
