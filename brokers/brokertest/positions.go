package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

func foreignPositions(s *suite) {
	members, _ := s.members(2)
	for i := range 3 {
		s.publish(members[0], say("a", fmt.Sprint(i)))
	}
	s.awaitMessages(members, 3)
	at := members[0].Position()
	var reading sync.WaitGroup
	for _, m := range members {
		for _, position := range []brokers.Position{
			{},
			{Epoch: at.Epoch + "x", Offset: at.Offset},
			{Epoch: "another"},
			{Epoch: at.Epoch, Offset: at.Offset + 1<<40},
			{Epoch: at.Epoch, Offset: 1<<64 - 1},
		} {
			reading.Go(func() {
				before := time.Now()
				events, complete, err := m.Events(s.Context(), []string{"a"}, position, 9)
				if complete || err != nil {
					s.Errorf("after %v: %d events, complete %t, %v", position, len(events), complete, err)
				}
				if took := time.Since(before); took > prompt {
					s.Errorf("reading after %v took %v", position, took)
				}
			})
		}
	}
	reading.Wait()
}

func newest(s *suite) {
	members, start := s.members(2)
	publications := []brokers.Publication{say("a", "1"), wake("b"), say("c", "2"), wake("a"), say("d", "3")}
	for _, p := range publications {
		s.publish(members[0], p)
	}
	s.awaitMessages(members, 3)
	for _, m := range members {
		for _, channels := range [][]string{{"a"}, {"b"}, {"b", "a"}, {"c", "b", "quiet"}, {"a", "b", "c", "d"}} {
			got := m.Newest(channels)
			var last brokers.Event
			for _, e := range m.Received() {
				if slices.Contains(channels, e.Channel) {
					last = e
					if !got.Covers(e) {
						s.Errorf("the newest on %q is at %v, which does not cover %+v", channels, got, e)
					}
				}
			}
			if got != last.Position {
				s.Errorf("the newest on %q is at %v, not %v", channels, got, last.Position)
			}
			for _, channel := range channels {
				s.check(m, channel, got, true)
			}
		}
		if got := m.Newest([]string{"quiet"}); start.Merge(got) != start {
			s.Errorf("the newest on a quiet channel is at %v, later than %v", got, start)
		}
	}
}

// readWhilePublished reads page by page at every process, while others publish.
func readWhilePublished(s *suite) {
	const publishers, each = 3, 100
	members, start := s.members(2)
	var publishing, reading sync.WaitGroup
	for i := range publishers {
		publishing.Go(func() {
			for j := range each {
				if _, err := members[i%len(members)].Publish(s.Context(), say("a", fmt.Sprint(i, ".", j))); err != nil {
					s.Error(err)
				}
			}
		})
	}
	for _, m := range members {
		reading.Go(func() {
			var got []string
			at := start
			for end := time.Now().Add(20 * time.Second); len(got) < publishers*each && time.Now().Before(end); {
				events, complete, err := m.Events(s.Context(), []string{"a", "b"}, at, 7)
				if err != nil || !complete {
					s.Errorf("after %v: complete %t, %v", at, complete, err)
					return
				}
				for _, e := range events {
					got, at = append(got, Text(e)), e.Position
				}
				if len(events) == 0 {
					time.Sleep(time.Millisecond) // the others need the processor too
				}
				if newest := m.Newest([]string{"a"}); newest.Merge(at) != newest {
					s.Errorf("the newest is at %v after %v was read", newest, at)
				}
			}
			if want := texts(on("a", m.Received())); !slices.Equal(got, want[:min(len(got), len(want))]) || len(got) != publishers*each {
				s.Errorf("%d were read, and not as they came live: %.200q, %.200q", len(got), got, want)
			}
		})
	}
	publishing.Wait()
	reading.Wait()
}

// ahead reads with a position that the process has not reached yet.
func ahead(s *suite) {
	members, _ := s.members(3)
	for i := range 60 {
		from := members[i%3]
		at := s.publish(from, say("a", fmt.Sprint(i))).Position
		for _, m := range members {
			events, complete, err := m.Events(s.Context(), []string{"a"}, at, 9)
			if len(events) > 0 || !complete || err != nil {
				s.Fatalf("after %v: %q, complete %t, %v", at, texts(events), complete, err)
			}
			if here := m.Position(); here.Merge(at) != here {
				s.Fatalf("the process is at %v, before %v", here, at)
			}
		}
	}
}

// late starts a process after many events.
func late(s *suite) {
	members, start := s.members(2)
	for i := range 300 {
		p := say("a", fmt.Sprint(i))
		p.ID = p.Channel + fmt.Sprint(i)
		s.publish(members[i%2], p)
		s.publish(members[i%2], wake("b"))
	}
	members[1].process.Leave()
	m := s.join()
	want, _ := s.read(members[0], []string{"a", "b"}, start, all)
	got, complete := s.read(m, []string{"a", "b"}, start, all)
	if !slices.Equal(texts(got), texts(want)) || !complete {
		s.Errorf("the history has %.200q, complete %t; elsewhere %.200q", texts(got), complete, texts(want))
	}
	if here, there := m.Position(), members[0].Position(); here != there {
		s.Errorf("one process is at %v, the other at %v", here, there)
	}
	again := say("a", "again")
	again.ID = "a299"
	if published := s.publish(m, again); !published.Duplicate {
		s.Errorf("what it has read was published again: %+v", published)
	}
	s.publish(m, say("a", "after"))
	s.awaitMessages([]*Member{members[0]}, 301)
	s.publish(members[0], say("a", "and before"))
	s.awaitMessages([]*Member{m}, 2)
	if got := m.Texts(); !slices.Equal(got, []string{"after", "and before"}) {
		s.Errorf("live came %.200q", got)
	}
}
