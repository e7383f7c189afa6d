package stream

import (
	"crypto/sha256"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/lot"
)

// page is how many messages are read from the history at a time.
const page = 256

// catchUp sends what the client has missed, in order: the messages, and for wake-ups the
// backend's present answer, once.
func (s *Stream) catchUp(first asker.Reply) {
	p := s.poll
	for overflowed := true; overflowed && !s.ended; {
		if s.sendHistory(first); p.Resume.Lost {
			s.startAnew()
			return
		}
		// What has come meanwhile waits in the queue, or in the history if the queue was
		// too short for it.
		var events []*lot.Event
		if events, overflowed = p.Space.Waiter.Take(); !overflowed {
			s.deliver(events)
		}
	}
}

// sendHistory sends the events after the last one that was handled.
func (s *Stream) sendHistory(first asker.Reply) {
	for more := true; more && !s.ended; {
		messages := 0
		events := s.poll.Read(s.given, page)
		for i, event := range events {
			s.poll.Asker.SetBehind(i < len(events)-1)
			s.given = event.Position
			if event.Message != nil {
				messages++
			}
			switch {
			case s.isMessage(event):
				s.message(&lot.Event{Event: event})
			case i == len(events)-1 || s.isMessage(events[i+1]):
				s.makeUpFor(event, first)
			}
		}
		more = messages == page
	}
}

func (s *Stream) isMessage(event brokers.Event) bool {
	return event.Message != nil && s.poll.Config().Asking.Interest != lot.WakeUps
}

// makeUpFor sends the backend's present answer for a wake-up that the client has missed.
// If the wake-up came before the first ask, that has it.
func (s *Stream) makeUpFor(wakeUp brokers.Event, first asker.Reply) {
	if s.poll.Resume.Start.Covers(wakeUp) {
		s.present(first, wakeUp.Position)
	} else {
		s.replay(wakeUp.Position)
	}
}

// startAnew tells the client that it has missed events which are no longer known, and
// sends it the backend's present answer.
func (s *Stream) startAnew() {
	s.poll.Space.Waiter.Take()
	s.lose(s.poll.Position())
}

// lose makes the stream begin anew at a position. The reset has no ID: until the client has
// the backend's present answer, it must be told of the loss again if it comes back.
func (s *Stream) lose(at brokers.Position) {
	s.given = at
	s.event(brokers.Position{}, resetEvent, nil)
	s.last = [sha256.Size]byte{}
	s.replay(at)
}
