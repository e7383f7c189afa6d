package caddytest

import "time"

// NextWithin returns the next event. ok is false if none arrives in time. The error is
// set if the stream has ended.
func (s *Stream) NextWithin(d time.Duration) (event Event, ok bool, err error) {
	patience := time.NewTimer(d)
	defer patience.Stop()
	for {
		select {
		case h, open := <-s.heard:
			if !open {
				return Event{}, false, streamEnded{s.end}
			}
			if h.Event != nil {
				return *h.Event, true, nil
			}
		case <-patience.C:
			return Event{}, false, nil
		}
	}
}

// streamEnded is the error of a stream that has ended; how is nil if it ended cleanly.
type streamEnded struct{ how error }

func (e streamEnded) Error() string {
	if e.how == nil {
		return "the stream has ended"
	}
	return "the stream has ended: " + e.how.Error()
}

func (e streamEnded) Unwrap() error { return e.how }
