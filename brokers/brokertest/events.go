package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// inOneOrder publishes at all processes concurrently.
func inOneOrder(s *suite) {
	const publishers, each = 4, 60
	members, _ := s.members(3)
	channels := []string{"a", "b", "rooms/7"}
	var ledger Ledger
	var publishing sync.WaitGroup
	for _, m := range members {
		for range publishers {
			publishing.Go(func() {
				for i := range each {
					ledger.Publish(s.Context(), m, channels[i%3], "", true)
				}
			})
		}
	}
	publishing.Wait()
	s.awaitMessages(members, len(members)*publishers*each)
	ledger.CheckPublishers(s, prompt)
	for _, m := range members {
		ledger.CheckMember(s, m)
		s.checkPositions(m)
		for _, channel := range channels {
			first, here := texts(on(channel, members[0].Received())), texts(on(channel, m.Received()))
			if !slices.Equal(first, here) {
				s.Errorf("on %s one process received %.200q, another %.200q", channel, first, here)
			}
		}
	}
}

// checkPositions fails the test unless each position covers its event and all earlier
// ones, but no later one.
func (s *suite) checkPositions(m *Member) {
	s.Helper()
	received := slices.DeleteFunc(m.Received(), brokers.Event.Lost)
	for i, e := range received {
		for _, earlier := range received[max(i-50, 0) : i+1] {
			if !e.Position.Covers(earlier) {
				s.Errorf("%v does not cover the event before at %v", e.Position, earlier.Position)
			}
		}
		if i > 0 && received[i-1].Position.Covers(e) {
			s.Errorf("%v covers the next event, at %v", received[i-1].Position, e.Position)
		}
		if at := m.Position(); !at.Covers(e) {
			s.Errorf("the process is at %v, which does not cover %v", at, e.Position)
		}
	}
}

// asPublished checks that unusual channels and messages reach each process unchanged.
func asPublished(s *suite) {
	members, start := s.members(2)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	names := []string{
		"a", "rooms/7", "with space", "dots.and.more.", "*", ">", "a=2Eb", "%2F", "Zürich ☕", "日本", "'\"`$&", "-", "..", "0",
		strings.Repeat("x", brokers.MaxChannelBytes), strings.Repeat("☕", brokers.MaxChannelBytes/3),
	}
	published := []*brokers.Message{
		nil,
		{Body: []byte("hello"), ContentType: "text/plain"},
		{Body: every, ContentType: "application/octet-stream"},
		{Body: []byte(`{"a":1}`), ContentType: `application/json; charset="utf-8"`, Type: "weather"},
		{Body: []byte(" "), ContentType: "text/plain", Type: "Zürich ☕"},
	}
	for _, name := range names {
		for _, message := range published {
			s.publish(members[0], brokers.Publication{Channel: name, Message: message})
		}
	}
	for _, m := range members {
		s.await("all messages", func() bool { return len(m.Texts()) >= len(names)*(len(published)-1) })
		for _, name := range names {
			live := on(name, m.Received())
			if len(live) != len(published) {
				s.Errorf("on %q %d events were received", name, len(live))
				continue
			}
			for i, e := range live {
				s.checkMessage(e, published[i])
			}
			history, complete := s.read(m, []string{name}, start, all)
			if len(history) != len(published) || !complete {
				s.Errorf("on %q the history has %d, complete %t", name, len(history), complete)
				continue
			}
			for i, e := range history {
				s.checkMessage(e, published[i])
			}
		}
	}
}

func (s *suite) checkMessage(e brokers.Event, want *brokers.Message) {
	s.Helper()
	got := e.Message
	if (got == nil) != (want == nil) {
		s.Errorf("on %q %s came as %s", e.Channel, Text(brokers.Event{Channel: "a", Message: want}), Text(e))
	} else if got != nil && (!bytes.Equal(got.Body, want.Body) || got.ContentType != want.ContentType || got.Type != want.Type) {
		s.Errorf("on %q %.100q came as %.100q", e.Channel, *want, *got)
	}
}

// large publishes messages of 1 MB, parker's default limit.
func large(s *suite) {
	members, start := s.members(2)
	var want []string
	for i := range 6 {
		body := make([]byte, 1_000_000)
		rand.NewChaCha8([32]byte{byte(i)}).Read(body)
		want = append(want, string(body))
		s.publish(members[i%len(members)], brokers.Publication{
			Channel: strings.Repeat("=", brokers.MaxChannelBytes),
			Message: &brokers.Message{Body: body, ContentType: "application/octet-stream"},
			ID:      strings.Repeat("i", 255),
		})
		want = want[:1] // the others have its ID
	}
	s.publish(members[0], say("a", want[0]))
	s.awaitMessages(members, 2)
	for _, m := range members {
		s.check(m, strings.Repeat("=", brokers.MaxChannelBytes), start, true, want...)
		s.check(m, "a", start, true, want...)
	}
}

// manyChannels publishes one event on each of manyOf channels.
func manyChannels(s *suite) {
	const channels, publishers = manyOf, 2000
	members, start := s.members(2)
	name := func(i int) string { return fmt.Sprintf("users/%d/inbox", i) }
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := p; i < channels; i += publishers {
				m := members[i%len(members)]
				if _, err := m.Publish(s.Context(), say(name(i), name(i))); err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	publishing.Wait()
	s.awaitMessages(members, channels)
	for _, m := range members {
		received := m.Texts()
		slices.Sort(received)
		if n := len(slices.Compact(received)); n != channels || len(received) != channels {
			s.Errorf("%d events were received on %d channels", len(received), n)
		}
		for i := 0; i < channels; i += channels / 100 {
			s.check(m, name(i), start, true, name(i))
		}
	}
}

// identified publishes the same ID several times, at several processes, concurrently.
func identified(s *suite) {
	members, start := s.members(2)
	for round := range 20 {
		id := fmt.Sprint("id", round)
		var publishing sync.WaitGroup
		var mu sync.Mutex
		var first []brokers.Published
		for i := range 6 {
			publishing.Go(func() {
				p := say("a", fmt.Sprint(round, ".", i))
				p.ID = id
				published, err := members[i%len(members)].Publish(s.Context(), p)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					s.Error(err)
				}
				if !published.Duplicate {
					first = append(first, published)
				} else if published.Released != 0 {
					s.Errorf("a duplicate reports %d released requests", published.Released)
				}
			})
		}
		publishing.Wait()
		if len(first) != 1 {
			s.Fatalf("%d of 6 publishers were told that theirs was the first: %+v", len(first), first)
		}
		for i, m := range members {
			again := brokers.Publication{Channel: "a", ID: id}
			got := s.publish(m, again)
			if !got.Duplicate || got.Position != first[0].Position || got.Released != 0 {
				s.Errorf("publishing it again: %+v, and first it was %+v", got, first[0])
			}
			again.Channel = fmt.Sprintf("another %d.%d", round, i)
			if got := s.publish(m, again); got.Duplicate {
				s.Errorf("the ID on another channel: %+v", got)
			}
		}
	}
	for _, m := range members {
		if events, complete := s.read(m, []string{"a"}, start, all); len(events) != 20 || !complete {
			s.Errorf("the history has %d events, complete %t", len(events), complete)
		}
		if n := len(on("a", m.Received())); n != 20 {
			s.Errorf("%d events were received", n)
		}
	}
}

// cancelled checks that no call waits if its context has ended. A publication then
// either creates an event or returns an error, never both.
func cancelled(s *suite) {
	members, start := s.members(2)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for _, m := range members {
		before := time.Now()
		_, err := m.Publish(ctx, say("a", "1"))
		if took := time.Since(before); took > prompt {
			s.Errorf("publishing took %v", took)
		}
		if events, _ := s.read(m, []string{"a"}, start, all); err == nil && len(events) == 0 {
			s.Error("a publication without an error created no event")
		}
	}
	m := members[0]
	future := brokers.Position{Epoch: m.Position().Epoch, Offset: 1 << 62}
	before := time.Now()
	for range 20 {
		if _, complete, err := m.Events(ctx, []string{"a"}, future, 9); complete && err == nil {
			s.Error("the events after a position in the future are complete")
		}
	}
	if took := time.Since(before); took > prompt {
		s.Errorf("reading 20 times took %v", took)
	}
}

func healthy(s *suite) {
	members, _ := s.members(2)
	for _, m := range members {
		before := m.Health().HistoryBytes
		s.publish(m, say("a", strings.Repeat("x", 10_000)))
		s.await("health", func() bool {
			h := m.Health()
			return h.Reachable && h.Lag < 2*time.Second && h.Waiting == 0 && h.HistoryBytes >= before+10_000
		})
	}
}
