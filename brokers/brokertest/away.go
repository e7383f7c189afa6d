package brokertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// cutOff cuts the connection of one process, and heals it.
func cutOff(s *suite) {
	members, start := s.members(3)
	here, there := members[0], members[1]
	s.publish(here, say("a", "1"))
	s.awaitMessages(members, 1)
	lost := lostOf(members)
	here.process.Cut()
	s.await("a cut that is noticed", func() bool { return !here.Health().Reachable })
	for _, text := range []string{"2", "3"} {
		published := s.publish(here, say("a", text))
		if !published.Unreachable || published.Released == 0 || published.Position != (brokers.Position{}) {
			s.Errorf("publishing returned %+v", published)
		}
	}
	if h := here.Health(); h.Reachable || h.Waiting != 2 {
		s.Errorf("while it is cut off: %+v", h)
	}
	s.publish(there, say("a", "4"))
	s.check(here, "a", start, true, "1", "wake-up")
	s.check(there, "a", start, true, "1", "4")
	s.waitForNobody(here)

	here.process.Heal()
	s.awaitMessages(members, 4)
	s.await("health", func() bool { h := here.Health(); return h.Reachable && h.Waiting == 0 })
	s.publish(here, say("a", "5"))
	s.awaitMessages(members, 5)
	want := []string{"1", "4", "2", "3", "5"}
	for _, m := range members {
		if got := m.Texts(); !slices.Equal(got, want) {
			s.Errorf("a process received %q, want %q", got, want)
		}
		s.check(m, "a", start, true, want...)
	}
	if !slices.Equal(lostOf(members), lost) {
		s.Error("processes were told that something is lost")
	}
}

// waitForNobody publishes at a process that knows that the server is unreachable. Each
// publication must return at once. Waiting for the server would take a second or more.
func (s *suite) waitForNobody(m *Member) {
	s.Helper()
	before := time.Now()
	for range 20 {
		s.publish(m, wake("elsewhere"))
	}
	if took := time.Since(before); took > prompt {
		s.Errorf("publishing 20 events while the server is unreachable took %v", took)
	}
}

func lostOf(members []*Member) (lost []int) {
	for _, m := range members {
		lost = append(lost, m.Lost())
	}
	return lost
}

// stalled has a connection on which nothing arrives any more and nothing fails.
func stalled(s *suite) {
	members, _ := s.members(2)
	here, there := members[0], members[1]
	s.publish(here, say("a", "1"))
	s.awaitMessages(members, 1)
	lost := lostOf(members)
	here.process.Stall()
	before := time.Now()
	published := s.publish(here, say("a", "2"))
	if took := time.Since(before); !published.Unreachable || took > prompt {
		s.Errorf("publishing returned %+v after %v", published, took)
	}
	s.publish(here, say("a", "3"))
	s.waitForNobody(here)
	s.publish(there, say("a", "4"))
	here.process.Heal()
	s.awaitMessages(members, 4)
	s.await("health", func() bool { h := here.Health(); return h.Reachable && h.Waiting == 0 })
	s.publish(here, say("a", "5"))
	s.awaitMessages(members, 5)
	for _, m := range members {
		got := m.Texts()
		if own := slices.DeleteFunc(slices.Clone(got), func(text string) bool { return text == "4" }); len(got) != 5 || !slices.Equal(own, []string{"1", "2", "3", "5"}) {
			s.Errorf("a process received %q", got)
		}
	}
	if !slices.Equal(lostOf(members), lost) {
		s.Error("processes were told that something is lost")
	}
}

// startedAlone starts a process before the server is reachable.
func startedAlone(s *suite) {
	there := s.join()
	s.publish(there, say("a", "1"))
	p := s.service.Join(s.T)
	p.Cut()
	here := &Member{Broker: p, process: p}
	before := time.Now()
	here.Start(roomy, here.Receive)
	own := here.Position()
	published := s.publish(here, say("a", "2"))
	if took := time.Since(before); !published.Unreachable || took > prompt {
		s.Errorf("publishing returned %+v after %v", published, took)
	}
	p.Heal()
	s.awaitMessages([]*Member{there}, 2)
	s.await("the log that is known", func() bool { return here.Position().Epoch == there.Position().Epoch })
	if events, complete, err := here.Events(s.Context(), []string{"a"}, own, 9); complete || err != nil {
		s.Errorf("after a position from before the log was known: %d events, complete %t, %v", len(events), complete, err)
	}
	s.publish(there, say("a", "3"))
	s.awaitMessages([]*Member{here}, 2)
	if got := here.Texts(); !slices.Equal(got, []string{"2", "3"}) || here.Lost() != 1 {
		s.Errorf("the process received %q, and %d times that something is lost", got, here.Lost())
	}
}

// restarted restarts a server that keeps its data, as on a disk.
func restarted(s *suite) {
	members, start := s.members(2)
	var want []string
	publish := func(m *Member) {
		want = append(want, fmt.Sprint(len(want)))
		s.publish(m, say("a", want[len(want)-1]))
	}
	for i := range 10 {
		publish(members[i%2])
	}
	s.awaitMessages(members, 10)
	lost := lostOf(members)
	s.service.Restart(s.T)
	for _, m := range members {
		s.await("health", func() bool { return m.Health().Reachable })
	}
	for i := range 10 {
		publish(members[i%2])
	}
	s.awaitMessages(members, 20)
	members = append(members, s.join())
	for i, m := range members {
		if got := m.Texts(); i < 2 && !slices.Equal(sorted(got), sorted(want)) {
			s.Errorf("a process received %q", got)
		}
		events, complete := s.read(m, []string{"a"}, start, all)
		if got := texts(events); !slices.Equal(sorted(got), sorted(want)) || !complete {
			s.Errorf("the history has %q, complete %t", got, complete)
		}
	}
	if !slices.Equal(lostOf(members[:2]), lost) {
		s.Error("processes were told that something is lost")
	}
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// flushed empties the server while one process is cut off.
func flushed(s *suite) {
	members, start := s.members(3)
	for i := range 10 {
		s.publish(members[i%3], say("a", fmt.Sprint(i)))
	}
	s.awaitMessages(members, 10)
	before, lost := members[0].Position(), lostOf(members)
	members[2].process.Cut()
	s.await("a cut that is noticed", func() bool { return !members[2].Health().Reachable })
	s.publish(members[2], say("a", "meanwhile"))
	s.service.Flush(s.T)
	for i, m := range members {
		if i == 2 {
			m.process.Heal()
		}
		s.await("a loss that is told", func() bool { return m.Lost() == lost[i]+1 })
		for _, position := range []brokers.Position{start, before} {
			if events, complete := s.read(m, []string{"a"}, position, all); complete {
				s.Errorf("after %v, from before the loss: %q, complete", position, texts(events))
			}
		}
	}
	s.awaitMessages(members, 11)
	s.await("health", func() bool { return members[2].Health().Waiting == 0 })
	after := s.publish(members[0], say("a", "after"))
	s.awaitMessages(members, 12)
	for i, m := range members {
		if got := m.Texts(); !slices.Equal(got[10:], []string{"meanwhile", "after"}) || m.Lost() != lost[i]+1 {
			s.Errorf("a process received %q, and %d times that something is lost", got, m.Lost())
		}
		if got := m.Position(); got != after.Position {
			s.Errorf("a process is at %v, not %v", got, after.Position)
		}
	}
}
