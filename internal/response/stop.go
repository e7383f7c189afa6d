package response

import "time"

// stopTimeout is how long the client may take to accept what is written when the
// server stops.
const stopTimeout = time.Second

// Stop is called when the server stops, by any goroutine: each write is to end
// soon, the one under way too. An event stream that has heartbeats ends as soon as
// it stands between whole events: end, if it is not nil, is called then, and is to
// stop the backend. Other answers come to their own end.
func (w *Writer) Stop(end func()) {
	w.stopping.Store(true)
	deadline := time.Now().Add(stopTimeout)
	again := time.NewTicker(stopTimeout / 4)
	defer again.Stop()
	// A write that had just been given its time may not have begun, and would not
	// be interrupted the first time.
	for ; !w.mu.TryLock(); <-again.C {
		w.interrupt(deadline)
	}
	defer w.mu.Unlock()
	if w.care.heartbeat > 0 && !w.closed {
		w.end = end
		w.endBetween()
	}
}

// interrupt has the write under way end by the deadline. What it sets it on is not
// touched after the request's handler, and can be used beside a write, which
// Caddy's idle writer cannot.
func (w *Writer) interrupt(deadline time.Time) {
	w.ending.Lock()
	defer w.ending.Unlock()
	if !w.over {
		_ = w.connection.SetWriteDeadline(deadline)
	}
}

// endBetween ends the stream if that is wanted and does not cut an event. The
// caller holds mu.
func (w *Writer) endBetween() {
	if w.end != nil && !w.ended && w.boundary.Between() {
		w.ended = true
		w.end()
	}
}

// Ended reports whether Stop has ended the stream between two events. A nil Writer
// has not.
func (w *Writer) Ended() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// patience is how long a write may take now.
func (w *Writer) patience() time.Duration {
	if w.stopping.Load() {
		return min(w.timeout, stopTimeout)
	}
	return w.timeout
}
