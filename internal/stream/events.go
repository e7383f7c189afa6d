package stream

import (
	"crypto/sha256"
	"fmt"
	"net/http"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/nothingnew"
)

// The types of the events that parker itself sends.
const (
	resetEvent = "parker.reset" // not all events before this one are known
	errorEvent = "parker.error" // the backend refused, and the stream ends
)

// message sends a message. As long as the replay for a wake-up before it fails, it is sent
// without an ID. Otherwise the client would go on after that wake-up.
func (s *Stream) message(event *lot.Event) {
	if !s.poll.Asker.Retry.IsZero() {
		s.event(brokers.Position{}, event.Message.Type, textOf(event.Message))
		return
	}
	if at := s.given.Merge(event.Position); at != event.Position {
		s.event(at, event.Message.Type, textOf(event.Message)) // the client knows more than this process
		return
	}
	s.metrics().StreamEvents.Inc()
	s.send(event.Encoded(encodeMessage))
	s.id = event.Position
}

// present makes an event of the backend's answer, unless it is the same as the last one.
func (s *Stream) present(r asker.Reply, at brokers.Position) {
	if at.Epoch == s.given.Epoch {
		at = at.Merge(s.given)
	}
	switch r.Kind {
	case asker.NothingNew:
		s.advance(at)
	case asker.News:
		s.presentAnswer(r.Answer, at)
	case asker.Failed:
		s.Fail(asker.StatusOf(r.Err))
	case asker.Broken, asker.Unfit:
		s.Fail(http.StatusBadGateway)
	case asker.Left, asker.Streamed:
		s.ended = true
	}
}

func (s *Stream) presentAnswer(a *ask.Answer, at brokers.Position) {
	if !fits(a) {
		s.Fail(a.Status)
		return
	}
	body, err := nothingnew.Decode(a.Header, a.Body, s.poll.Config().Asking.MaxEvent())
	if err != nil {
		s.Fail(http.StatusBadGateway)
		return
	}
	body = eventstream.Text(a.Header.Get("Content-Type"), body)
	digest := sha256.Sum256(body)
	if len(body) == 0 || digest == s.last {
		s.poll.Asker.FoundKnown()
		s.advance(at)
		return
	}
	s.last = digest
	s.poll.Asker.Found()
	s.event(at, "", body)
}

// Fail implements [poll.Stream]: it tells the client why the stream ends. When the client
// comes back, it gets the backend's answer.
func (s *Stream) Fail(status int) {
	s.event(brokers.Position{}, errorEvent, fmt.Appendf(nil, `{"status":%d}`, status))
	s.ended = true
}

// advance changes the client's position without an event.
func (s *Stream) advance(to brokers.Position) {
	if s.id == to || s.early {
		return
	}
	s.id = to
	s.frame = eventstream.AppendID(s.frame[:0], to.String())
	s.send(s.frame)
}

// event sends an event to this client only. Without a position the client keeps the one
// that it has.
func (s *Stream) event(at brokers.Position, eventType string, data []byte) {
	s.metrics().StreamEvents.Inc()
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

func encodeMessage(event brokers.Event) []byte {
	return eventstream.AppendEvent(nil, eventstream.Event{
		ID:   event.Position.String(),
		Type: event.Message.Type,
		Data: textOf(event.Message),
	})
}

func textOf(m *brokers.Message) []byte { return eventstream.Text(m.ContentType, m.Body) }
