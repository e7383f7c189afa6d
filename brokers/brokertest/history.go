package brokertest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// historyOfAll checks that the history, read in pages of any size, equals the live
// events, except that it may have only the last wake-up on a channel.
func historyOfAll(s *suite) {
	members, start := s.members(2)
	channels := []string{"a", "b", "c"}
	for i := range 60 {
		p := say(channels[i%3], fmt.Sprint(i))
		if i%4 == 1 {
			p.Message = nil
		}
		s.publish(members[i%len(members)], p)
	}
	s.awaitMessages(members, 45)
	for _, m := range members {
		for _, page := range []int{1, 2, 7, 1000, all} {
			events, complete := s.read(m, channels, start, page)
			if !complete {
				s.Errorf("in pages of %d it is not complete", page)
			}
			for _, channel := range channels {
				s.checkSame(on(channel, events), on(channel, m.Received()))
			}
			if twice := append(slices.Clone(channels), channels...); page == all {
				if again, _ := s.read(m, twice, start, page); len(again) != len(events) {
					s.Errorf("of channels that are named twice there are %d events, of each once %d", len(again), len(events))
				}
			}
		}
		s.check(m, "a", m.Position(), true)
		s.check(m, "quiet", start, true)
		if events, complete, err := m.Events(s.Context(), channels, start, 0); len(messages(events)) > 0 || !complete || err != nil {
			s.Errorf("at most 0 messages: %q, complete %t, %v", texts(events), complete, err)
		}
	}
}

// checkSame fails the test unless the history equals the live events on the channel.
func (s *suite) checkSame(history, live []brokers.Event) {
	s.Helper()
	if got, want := texts(messages(history)), texts(messages(live)); !slices.Equal(got, want) {
		s.Errorf("the history has %.200q, and live came %.200q", got, want)
	}
	last := live[len(live)-1]
	if len(history) == 0 || !history[len(history)-1].Position.Covers(last) {
		s.Errorf("after all was read, %+v is not covered", last)
	}
	for i, e := range history {
		if !e.Position.Covers(e) || i > 0 && history[i-1].Position.Covers(e) {
			s.Errorf("the positions do not grow: %v, then %v", history[max(i-1, 0)].Position, e.Position)
		}
	}
}

// rememberedFirst checks that an event is in the history when it is delivered, so that
// a reader that registers first and then reads the history misses none.
func rememberedFirst(s *suite) {
	p := s.service.Join(s.T)
	m := &Member{Broker: p, process: p}
	var before atomic.Value // the position before the event
	var delivered atomic.Int32
	p.Start(roomy, func(e brokers.Event) (int, func()) {
		if e.Lost() {
			return 0, nil
		}
		delivered.Add(1)
		s.check(m, "a", before.Load().(brokers.Position), true, Text(e))
		s.check(m, "a", e.Position, true)
		if at := p.Position(); !at.Covers(e) {
			s.Errorf("events stand at %v when %v is delivered", at, e.Position)
		}
		if newest := p.Newest([]string{"a"}); !newest.Covers(e) {
			s.Errorf("the newest is at %v when %v is delivered", newest, e.Position)
		}
		return 0, nil
	})
	for i := range 5 {
		before.Store(p.Position())
		s.publish(m, say("a", fmt.Sprint(i)))
	}
	if n := delivered.Load(); n != 5 {
		s.Errorf("%d events were delivered", n)
	}
}

func limitedByCount(s *suite) {
	limits := roomy
	limits.Events = 3
	m := s.joinWith(limits)
	at := []brokers.Position{m.Position()}
	for i := range 5 {
		at = append(at, s.publish(m, say("a", fmt.Sprint(i+1))).Position)
		s.publish(m, wake("b"))
	}
	s.check(m, "a", at[0], false, "3", "4", "5")
	s.check(m, "a", at[1], false, "3", "4", "5")
	s.check(m, "a", at[2], true, "3", "4", "5")
	s.check(m, "b", at[0], true, "wake-up")
}

func limitedByBytes(s *suite) {
	limits := roomy
	limits.MaxBytes = 400_000
	m := s.joinWith(limits)
	at := []brokers.Position{m.Position()}
	text := strings.Repeat("x", 20_000)
	for i := range 100 {
		at = append(at, s.publish(m, say(fmt.Sprint(i), text)).Position)
	}
	s.check(m, "0", at[0], false)
	s.check(m, "99", at[99], true, text)
	s.check(m, "99", at[100], true)
	if h := m.Health(); h.HistoryBytes > limits.MaxBytes {
		s.Errorf("%+v", h)
	}
}

func limitedByAge(s *suite) {
	limits := roomy
	limits.MaxAge = time.Second
	m := s.joinWith(limits)
	start := m.Position()
	s.publish(m, say("a", "1"))
	lasting := say("b", "2")
	lasting.Lifetime = time.Hour
	last := s.publish(m, lasting).Position
	s.check(m, "a", start, true, "1")
	s.await("forgetting", func() bool { return !s.complete(m, "a", start) })
	s.check(m, "a", start, false)
	s.check(m, "a", last, true)
	s.check(m, "b", start, true, "2")
}

func (s *suite) complete(m *Member, channel string, after brokers.Position) bool {
	_, complete := s.read(m, []string{channel}, after, all)
	return complete
}

func limitedByLifetime(s *suite) {
	members, start := s.members(2)
	lasting := func(text string, lifetime time.Duration) brokers.Position {
		p := say("a", text)
		p.Lifetime = lifetime
		return s.publish(members[0], p).Position
	}
	lasting("usual", 0)
	before := lasting("none", -1)
	lasting("short", time.Second)
	after := lasting("long", time.Hour)
	s.awaitMessages(members, 4)
	for _, m := range members {
		s.check(m, "a", start, false, "usual", "short", "long")
		s.check(m, "a", before, true, "short", "long")
	}
	for _, m := range members {
		s.await("forgetting", func() bool { return !s.complete(m, "a", before) })
		s.check(m, "a", before, false, "long")
		s.check(m, "a", after, true)
	}
}

// startedAgain calls Start again, as a reload does.
func startedAgain(s *suite) {
	members, start := s.members(2)
	m := members[0]
	for i := range 6 {
		s.publish(m, say("a", fmt.Sprint(i)))
	}
	s.awaitMessages(members, 6)
	limits := roomy
	limits.Events = 2
	second := NewMember(m.Broker)
	m.Start(limits, second.Receive)
	s.check(m, "a", start, false, "4", "5")
	s.publish(members[len(members)-1], say("a", "6"))
	s.awaitMessages([]*Member{second}, 1)
	s.check(m, "a", start, false, "5", "6")
	if got := m.Texts(); len(got) != 6 {
		s.Errorf("the first receiver got %q", got)
	}
	if got := second.Texts(); !slices.Equal(got, []string{"6"}) || second.Lost() > 0 {
		s.Errorf("the second receiver got %q, and %d times that something is lost", got, second.Lost())
	}
	m.Start(roomy, nil)
	if got := s.publish(m, say("a", "7")); got.Released != 0 {
		s.Errorf("without a receiver: %+v", got)
	}
	s.check(m, "a", start, false, "5", "6", "7")
}
