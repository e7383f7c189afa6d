package response

import (
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// heartbeat is what a [Live] knows of its event stream, to insert a comment after each
// silent interval. The mutex of the Live guards it.
type heartbeat struct {
	interval time.Duration // 0: no heartbeats
	follower eventstream.Follower
	timer    *time.Timer // nil before the header is sent
	last     time.Time   // when the client was last written to
}

// comment is sent as a heartbeat.
var comment = eventstream.AppendComment(nil, "")

// begin calls beat in its own goroutine when the interval has passed.
func (h *heartbeat) begin(beat func()) {
	if h.interval > 0 {
		h.last = time.Now()
		h.timer = time.AfterFunc(h.interval, beat)
	}
}

// remaining returns how much longer the stream must be silent until a heartbeat is due.
func (h *heartbeat) remaining() time.Duration { return h.interval - time.Since(h.last) }

func (h *heartbeat) end() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// beat sends a heartbeat if the stream has been silent for the interval. Inside an event
// it sends none.
func (l *Live) beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.err != nil {
		return
	}
	if remaining := l.heartbeat.remaining(); remaining > 0 {
		l.heartbeat.timer.Reset(remaining)
		return
	}
	if l.heartbeat.follower.Between() {
		if _, err := l.send(comment); err != nil {
			return // the next write of the route returns it
		}
	}
	l.heartbeat.timer.Reset(l.heartbeat.interval)
}
