package poll

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/response"
)

// The types of those events that parker itself has to tell.
const (
	resetEvent = "parker.reset" // what came before is not all known
	errorEvent = "parker.error" // the backend refused, and the stream ends
)

// page is how many messages are read from the history at a time.
const page = 256

// Stream is an answer that goes on, one event after the other. It belongs to the
// goroutine that serves the request.
type Stream struct {
	poll   *Poll
	out    *response.Live
	ended  bool
	unstop func() bool // the stream is not told any more that the server stops

	open prometheus.Gauge // counts it, unless it is nil

	again bool // it is to ask again, whatever was published
	early bool // an answer without news may be too early for the wake-up that it is for
	away  bool // the backend is, and has not let the client in yet
	full  bool // there is no place for it: it ends as soon as it has begun

	given brokers.Position  // what came up to here on the poll's channels has been dealt with
	id    brokers.Position  // the client's last event ID
	woken brokers.Position  // of the wake-up that the next replay is for
	last  [sha256.Size]byte // digest of the last of the backend's answers that was given
	frame []byte            // reused for what this client alone is sent
}

// Close ends the stream.
func (s *Stream) Close() {
	s.unstop()
	s.out.Close()
	if s.open != nil {
		s.open.Dec()
	}
}

// Ended reports whether nothing more can be sent: the client is too slow or has left, or
// the backend refused.
func (s *Stream) Ended() bool { return s.ended }

// Full reports whether the stream has no place in the lot. Its client has got all events
// up to now, and comes back after a while.
func (s *Stream) Full() bool { return s.full }

// catchUp gives what the client missed, in order: the messages, and for wake-ups the
// backend's present answer, once.
func (s *Stream) catchUp(first Reply) {
	p := s.poll
	for overflowed := true; overflowed && !s.ended; {
		if s.giveHistory(first); p.lost {
			s.startAnew()
			return
		}
		// What came meanwhile waits in the queue, or in the history if that was
		// too long for it.
		var events []*lot.Event
		if events, overflowed = p.waiter.Take(); !overflowed {
			s.deliver(events)
		}
	}
}

// giveHistory gives what came since the last that was given.
func (s *Stream) giveHistory(first Reply) {
	for more := true; more && !s.ended; {
		messages := 0
		events := s.poll.read(s.given, page)
		for i, event := range events {
			s.poll.behind.Store(i < len(events)-1)
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
	return event.Message != nil && s.poll.config.Interest != lot.WakeUps
}

// makeUpFor gives the backend's present answer for a wake-up that was missed. The
// first ask has it, if the wake-up came before.
func (s *Stream) makeUpFor(wakeUp brokers.Event, first Reply) {
	if s.poll.start.Covers(wakeUp) {
		s.present(first, wakeUp.Position)
	} else {
		s.replay(wakeUp.Position)
	}
}

// startAnew tells the client that it missed events that are no longer known, and gives it
// the backend's present answer.
func (s *Stream) startAnew() {
	s.poll.waiter.Take()
	s.lose(s.poll.config.Broker.Position())
}

// lose makes the stream begin anew from a position. The reset has no ID: until the client
// has the backend's present answer, it must be told of the loss again if it comes back.
func (s *Stream) lose(at brokers.Position) {
	s.given = at
	s.event(brokers.Position{}, resetEvent, nil)
	s.last = [sha256.Size]byte{}
	s.replay(at)
}

// Take gives what has come since.
func (s *Stream) Take() {
	events, overflowed := s.poll.waiter.Take()
	if s.away {
		return // the history gives it, once the client is let in
	}
	if overflowed {
		s.poll.config.Metrics.SlowReaders.Inc()
		s.ended = true
		return
	}
	s.deliver(events)
}

// deliver gives events: messages as they are, and for the last wake-up what the
// backend has to say.
func (s *Stream) deliver(events []*lot.Event) {
	s.poll.why = coalesce.Anew
	lastWakeUp := len(events) - 1
	for lastWakeUp >= 0 && events[lastWakeUp].Message != nil {
		lastWakeUp--
	}
	for i, event := range events {
		s.poll.behind.Store(i < len(events)-1)
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

// wake asks the backend because of a wake-up. If it has nothing new, it is to be asked
// again after a while. Until it has been, the client keeps the position before the
// wake-up: if it comes back meanwhile, the wake-up is made up for.
func (s *Stream) wake(event *lot.Event) {
	last := s.last
	s.early = s.poll.config.Groups.Looks()
	s.replay(event.Position)
	s.early = false
	if s.last == last {
		s.poll.why = coalesce.InVain
	}
}

// message gives a message. As long as the replay for a wake-up before it fails, it
// comes without an ID: the client would go on behind that wake-up.
func (s *Stream) message(event *lot.Event) {
	if !s.poll.retry.IsZero() {
		s.event(brokers.Position{}, event.Message.Type, textOf(event.Message))
		return
	}
	if at := s.given.Merge(event.Position); at != event.Position {
		s.event(at, event.Message.Type, textOf(event.Message)) // the client knows more than this process does
		return
	}
	s.poll.config.Metrics.StreamEvents.Inc()
	s.send(event.Encoded(encodeMessage))
	s.id = event.Position
}

// Replay asks the backend again where no event says so: its interval has passed,
// or the last replay failed.
func (s *Stream) Replay() {
	if s.away {
		s.tryToBegin()
		return
	}
	if s.poll.retry.IsZero() {
		s.woken = s.id // where events stand by now, a message may have to come before
	}
	s.replay(s.woken)
}

func (s *Stream) replay(woken brokers.Position) {
	if s.ended {
		return
	}
	s.woken = woken
	reply := s.poll.Again()
	if reply.Kind == TimedOut {
		reply = s.poll.refused(time.Time{})
	}
	s.present(reply, woken)
}

// present makes an event of what the backend has to say, unless that is what it
// said last.
func (s *Stream) present(r Reply, at brokers.Position) {
	if at.Epoch == s.given.Epoch {
		at = at.Merge(s.given)
	}
	switch r.Kind {
	case NothingNew:
		s.advance(at)
	case News:
		s.presentAnswer(r.Answer, at)
	case Failed:
		s.fail(statusOf(r.Err))
	case Broken, Unfit:
		s.fail(http.StatusBadGateway)
	case Left, Streamed:
		s.ended = true
	}
}

func (s *Stream) presentAnswer(a *ask.Answer, at brokers.Position) {
	if !fit(a) {
		s.fail(a.Status)
		return
	}
	body, err := nothingnew.Decode(a.Header, a.Body, s.poll.config.MaxEvent)
	if err != nil {
		s.fail(http.StatusBadGateway)
		return
	}
	body = eventstream.Text(a.Header.Get("Content-Type"), body)
	digest := sha256.Sum256(body)
	if len(body) == 0 || digest == s.last {
		if s.poll.ended.Cause == lot.Looked {
			s.poll.asked.FoundKnown()
		}
		s.advance(at)
		return
	}
	s.last = digest
	if s.poll.ended.Cause == lot.Looked {
		s.poll.asked.Found()
	}
	s.event(at, "", body)
}

// fail tells the client why the stream ends. When the client comes again, it gets the
// backend's answer.
func (s *Stream) fail(status int) {
	s.event(brokers.Position{}, errorEvent, fmt.Appendf(nil, `{"status":%d}`, status))
	s.ended = true
}

// advance lets the client go on from here, without an event.
func (s *Stream) advance(to brokers.Position) {
	if s.id == to || s.early {
		return
	}
	s.id = to
	s.frame = eventstream.AppendID(s.frame[:0], to.String())
	s.send(s.frame)
}

// GoOn moves a client that has heard nothing for long to the present position.
func (s *Stream) GoOn() {
	p := s.poll
	if !p.retry.IsZero() {
		return // a wake-up is still to be made up for
	}
	now := p.config.Broker.Position()
	if s.id.Epoch != now.Epoch {
		return
	}
	// What came up to given was made up for long ago.
	if events := p.read(s.given.Merge(s.id), 1); !p.lost && len(events) == 0 {
		s.advance(s.id.Merge(now))
	}
	p.lost = false // if it is, that is for the client to hear when it comes again
}

// event sends an event of this stream alone. Without a position the client keeps
// the one that it has.
func (s *Stream) event(at brokers.Position, eventType string, data []byte) {
	s.poll.config.Metrics.StreamEvents.Inc()
	e := eventstream.Event{Type: eventType, Data: data}
	if at != (brokers.Position{}) {
		s.id, e.ID = at, at.String()
	}
	s.frame = eventstream.AppendEvent(s.frame[:0], e)
	s.send(s.frame)
}

func (s *Stream) send(frame []byte) {
	if s.ended || len(frame) == 0 {
		return
	}
	if _, err := s.out.Write(frame); err != nil {
		s.ended = true
	}
}

func encodeMessage(event brokers.Event) []byte { return appendMessage(nil, event) }

func appendMessage(frame []byte, event brokers.Event) []byte {
	return eventstream.AppendEvent(frame, eventstream.Event{
		ID:   event.Position.String(),
		Type: event.Message.Type,
		Data: textOf(event.Message),
	})
}

func textOf(m *brokers.Message) []byte { return eventstream.Text(m.ContentType, m.Body) }

// statusOf is the status that Caddy answers a handler's error with.
func statusOf(err error) int {
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return handlerErr.StatusCode
	}
	return http.StatusInternalServerError
}
