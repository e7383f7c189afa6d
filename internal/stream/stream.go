// Package stream answers a request with an event stream (WHATWG HTML, section 9.2). A
// [Stream] takes the steps of its poll: each time that the poll is released, it sends what
// that brings as events, and the poll is parked again.
package stream

import (
	"crypto/sha256"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/response"
)

// Stream is an answer that continues, one event after the other. It belongs to the
// goroutine that serves the request.
type Stream struct {
	poll   *poll.Poll
	opener *poll.Poll // has opened the stream; poll differs from it after a reload
	out    sink
	ended  bool
	unstop func() bool      // stops watching for the server to stop
	count  prometheus.Gauge // counts the stream, unless it is nil

	again bool // the backend must be asked, whatever was published
	early bool // an answer without news may be too early for its wake-up
	away  bool // the backend is unavailable, and has not let the client in yet
	full  bool // there is no place for the stream: it ends at once

	given brokers.Position  // events up to here on the poll's channels have been handled
	id    brokers.Position  // the client's last event ID
	woken brokers.Position  // of the wake-up that the next replay is for
	last  [sha256.Size]byte // digest of the backend's last answer that was sent
	frame []byte            // reused for what only this client is sent
}

// sink is where a stream's bytes go.
type sink interface {
	Write(frame []byte) (int, error)
	Close()
}

// Close ends the stream, if p has opened it.
func (s *Stream) Close(p *poll.Poll) {
	if s.opener != p {
		return
	}
	s.unstop()
	s.out.Close()
	if s.count != nil {
		s.count.Dec()
	}
}

func (s *Stream) metrics() *metrics.Handler { return s.poll.Config().Asking.Metrics }

// Ended reports whether nothing more can be sent: the client is too slow or has left, or
// the backend refused.
func (s *Stream) Ended() bool { return s.ended }

// Full reports whether the stream has no place in the lot. Its client has all events up to
// now, and comes back after a while.
func (s *Stream) Full() bool { return s.full }

// ContinueAs implements [poll.Stream].
func (s *Stream) ContinueAs(p *poll.Poll, again bool) {
	s.poll, s.again = p, again || s.away
	p.Asker.Writer.WriteHeader(http.StatusOK) // for the access log: the client has it already
	p.Asker.Writer = response.Discard(p.Asker.Writer.Header().Clone())
	if waiter := p.Space.Waiter; !waiter.IsOpen() {
		s.full = !waiter.Open()
	}
}

// resume makes a stream that was continued ask again, if it must. If an event came shortly
// before, it is looked at again here, because the older configuration no longer does.
func (s *Stream) resume() {
	if s.again {
		s.again = false
		s.poll.Released(answer.Replay)
		s.Replay()
		s.poll.Asker.Park = coalesce.First
	}
}

// Take sends the events that have come since the last call.
func (s *Stream) Take() {
	events, overflowed := s.poll.Space.Waiter.Take()
	if s.away {
		return // the history has them, once the client is let in
	}
	if overflowed {
		s.metrics().SlowReaders.Inc()
		s.ended = true
		return
	}
	s.deliver(events)
}

// deliver sends events: messages as they are, and for the last wake-up the backend's
// answer.
func (s *Stream) deliver(events []*lot.Event) {
	s.poll.Asker.Park = coalesce.Anew
	lastWakeUp := len(events) - 1
	for lastWakeUp >= 0 && events[lastWakeUp].Message != nil {
		lastWakeUp--
	}
	for i, event := range events {
		s.poll.Asker.SetBehind(i < len(events)-1)
		switch {
		case s.ended:
			return
		case event.Lost():
			s.lose(event.Position)
		case s.given.Covers(event.Event):
			continue
		case event.Message == nil && i == lastWakeUp:
			s.wake(event)
		case event.Message != nil:
			s.message(event)
		}
		s.given = s.given.Merge(event.Position)
	}
}

// wake asks the backend because of a wake-up. If it has nothing new, it will be asked again
// after a while. Until then the client keeps the position before the wake-up: if it comes
// back meanwhile, the wake-up is made up for.
func (s *Stream) wake(event *lot.Event) {
	last := s.last
	s.early = s.poll.Asker.Looks()
	s.replay(event.Position)
	s.early = false
	if s.last == last {
		s.poll.Asker.Park = coalesce.InVain
	}
}

// Replay asks the backend again although no event says so: because the interval of watch
// has passed, or the last replay has failed.
func (s *Stream) Replay() {
	if s.away {
		s.tryToBegin()
		return
	}
	if s.poll.Asker.Retry.IsZero() {
		s.woken = s.id // a message may have to be sent before the present position
	}
	s.replay(s.woken)
}

func (s *Stream) replay(woken brokers.Position) {
	if s.ended {
		return
	}
	s.woken = woken
	reply := s.ask()
	if reply.Kind == asker.TimedOut {
		reply = s.poll.Asker.Refuse()
	}
	s.present(reply, woken)
}

func (s *Stream) ask() asker.Reply { return orAnything(s.poll, s.poll.Again(), s.poll.Again) }

// GoOn moves a client that has heard nothing for long to the present position.
func (s *Stream) GoOn() {
	p := s.poll
	if !p.Asker.Retry.IsZero() {
		return // a wake-up must still be made up for
	}
	now := p.Position()
	if s.id.Epoch != now.Epoch {
		return
	}
	// What came up to given was made up for long ago.
	if events := p.Read(s.given.Merge(s.id), 1); !p.Resume.Lost && len(events) == 0 {
		s.advance(s.id.Merge(now))
	}
	p.Resume.Lost = false // if events are lost, the client is told when it comes back
}
