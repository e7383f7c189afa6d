package response

import "time"

// stop is how a [Live] ends its stream when the server stops. The mutex of the Live guards
// it.
type stop struct {
	end   func() // ends the backend's stream; nil before the server stops
	ended bool   // end has been called
}

// Stop is called when the server stops, from any goroutine. From then on each write must
// end soon, including the one that is under way. An event stream with heartbeats ends as
// soon as it is between two events: then Stop calls end, unless it is nil, which must stop
// the backend. Other answers end on their own.
func (l *Live) Stop(end func()) {
	l.deadlines.stopping.Store(true)
	deadline := time.Now().Add(stopTimeout)
	again := time.NewTicker(stopTimeout / 4)
	defer again.Stop()
	// This is repeated, because a write whose deadline is set may not have begun yet. Then
	// it would not be interrupted.
	for ; !l.mu.TryLock(); <-again.C {
		l.interrupt(deadline)
	}
	defer l.mu.Unlock()
	if l.heartbeat.interval > 0 && !l.closed {
		l.stop.end = end
		l.endBetween()
	}
}

// interrupt sets the deadline of the write that is under way. It uses the server's own
// writer, because Caddy's idle writer must not be used during a write, and only before the
// request's handler returns.
func (l *Live) interrupt(deadline time.Time) {
	l.ending.Lock()
	defer l.ending.Unlock()
	if !l.over {
		_ = l.deadlines.connection.SetWriteDeadline(deadline)
	}
}

// endBetween ends the stream if the server stops and the stream is between two events.
// The caller holds mu.
func (l *Live) endBetween() {
	if l.stop.end != nil && !l.stop.ended && l.heartbeat.follower.Between() {
		l.stop.ended = true
		l.stop.end()
	}
}

// Ended reports whether Stop has ended the stream between two events. It returns false for
// a nil Live.
func (l *Live) Ended() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop.ended
}
