package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Stream is an event stream that a client reads.
type Stream struct {
	Status int
	Header http.Header
	LastID string // the client's last event ID, as far as the test has read

	heard <-chan Part
	leave context.CancelFunc
	end   error
}

// Listen opens an event stream. It returns when the header of the stream has arrived.
func Listen(t testing.TB, url string, header ...string) *Stream {
	return ListenWith(t, http.DefaultTransport, url, header...)
}

// ListenWith is like [Listen] but uses the given transport.
func ListenWith(t testing.TB, transport http.RoundTripper, url string, header ...string) *Stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	slow := time.AfterFunc(Patience, cancel)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatalf("the stream at %s was not opened: %v", url, err)
	}
	slow.Stop()
	all := make(chan Part)
	s := &Stream{Status: answer.StatusCode, Header: answer.Header, heard: queued(t.Context(), all), leave: cancel}
	go func() {
		defer close(all)
		defer answer.Body.Close()
		s.end = hear(answer.Body, all)
	}()
	t.Cleanup(s.Leave)
	return s
}

// queued keeps everything that arrives until the test takes it, so that the client
// keeps reading. When the context ends, the rest is dropped.
func queued(ctx context.Context, all <-chan Part) <-chan Part {
	taken := make(chan Part)
	go func() {
		defer close(taken)
		var queue []Part
		for ended := false; !ended || len(queue) > 0; {
			var next Part
			var take chan<- Part
			if len(queue) > 0 {
				next, take = queue[0], taken
			}
			select {
			case h, ok := <-all:
				if ended = !ok; ended {
					all = nil // no more will arrive
				} else {
					queue = append(queue, h)
				}
			case take <- next:
				queue = queue[1:]
			case <-ctx.Done():
				for !ended {
					_, ok := <-all
					ended = !ok
				}
				return
			}
		}
	}()
	return taken
}

// hear sends everything that arrives to all, until the stream ends.
func hear(body io.Reader, all chan<- Part) error {
	for parts := NewEventReader(body); ; {
		part, err := parts.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		all <- part
	}
}

// Leave closes the stream at the client.
func (s *Stream) Leave() { s.leave() }

// Next returns the next event.
func (s *Stream) Next(t testing.TB) Event {
	t.Helper()
	for {
		if h := s.next(t); h.Event != nil {
			return *h.Event
		}
	}
}

// NextID returns the client's last event ID once it differs from old. It fails the test
// if an event arrives first.
func (s *Stream) NextID(t testing.TB, old string) string {
	t.Helper()
	id, event := s.NextOfAny(t, old)
	if event != nil {
		t.Fatalf("heard %+v, want an ID without an event", *event)
	}
	return id
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

// Comment returns the next comment.
func (s *Stream) Comment(t testing.TB) string {
	t.Helper()
	for {
		h := s.next(t)
		if h.Event != nil {
			t.Fatalf("heard %+v, want a comment", *h.Event)
		}
		if h.Comment != nil {
			return *h.Comment
		}
	}
}

// Retry returns the retry time of the stream, in milliseconds.
func (s *Stream) Retry(t testing.TB) string {
	t.Helper()
	for {
		if h := s.next(t); h.Retry != "" {
			return h.Retry
		}
	}
}

func (s *Stream) next(t testing.TB) Part {
	t.Helper()
	select {
	case h, ok := <-s.heard:
		if !ok {
			t.Fatalf("the stream has ended: %v", s.end)
		}
		s.LastID = h.LastID
		return h
	case <-time.After(Patience):
		t.Fatal("nothing arrived on the stream")
	}
	return Part{}
}

// Rest returns the events up to the end of the stream. The error is nil if the stream
// ended cleanly.
func (s *Stream) Rest(t testing.TB) ([]Event, error) {
	t.Helper()
	events, _, err := s.All(t)
	return events, err
}

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

// NextWithin returns the next event. ok is false if none arrives in time. The error is
// set if the stream has ended.
func (s *Stream) NextWithin(d time.Duration) (event Event, ok bool, err error) {
	patience := time.NewTimer(d)
	defer patience.Stop()
	for {
		select {
		case h, open := <-s.heard:
			if !open {
				return Event{}, false, fmt.Errorf("the stream has ended: %v", s.end)
			}
			if h.Event != nil {
				return *h.Event, true, nil
			}
		case <-patience.C:
			return Event{}, false, nil
		}
	}
}
