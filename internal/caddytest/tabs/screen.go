// Package tabs judges what the pages of simulated browsers show, against what the backend
// had at that time.
package tabs

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// State is what a backend has to show, as it changes. Values may come back.
type State struct {
	now func() time.Duration

	mu    sync.Mutex // guards spans
	spans []span     // in order of their begin
}

// span is a time in which clients may be shown a value.
type span struct {
	value string
	begin time.Duration
	end   time.Duration // when its successor was there for all; negative: not yet
}

// NewState returns a state with its first value. now is the clock by which screens are
// judged.
func NewState(value string, now func() time.Duration) *State {
	return &State{now: now, spans: []span{{value, now(), -1}}}
}

// Value returns the present value.
func (s *State) Value() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans[len(s.spans)-1].value
}

// Set changes the value. Clients may still be shown the one before until [State.Done].
func (s *State) Set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, span{value, s.now(), -1})
}

// Done notes that the change is finished: from now on each answer has the present value.
func (s *State) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.spans[:len(s.spans)-1] {
		if s.spans[i].end < 0 {
			s.spans[i].end = s.now()
		}
	}
}

// staleness returns how long a screen that showed a value from one time to another has
// shown it after it had been replaced, at most. What was before the time since does not
// count. ok is false if the value was never there.
func (s *State) staleness(value string, since, from, to time.Duration) (longest time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans := slices.DeleteFunc(slices.Clone(s.spans), func(sp span) bool { return sp.value != value })
	for i, sp := range spans {
		if sp.begin > to {
			break
		}
		ok = true
		back := to
		if i+1 < len(spans) {
			back = min(to, spans[i+1].begin)
		}
		if sp.end >= 0 && sp.end < back && back > from {
			longest = max(longest, back-max(sp.end, since))
		}
	}
	return longest, ok
}

// Screen is what one page shows of a state. It belongs to one goroutine at a time.
type Screen struct {
	// Pause is the page's own, from an answer to its next poll.
	Pause time.Duration

	// Worst is by how much the page was later than a page without parker may be, at most.
	Worst time.Duration

	state *State
	value string // "": nothing yet
	from  time.Duration
	since time.Duration
}

// Later is how much later than without parker a page may show a change.
const Later = time.Second

// Open returns the screen of a page that begins to load now.
func (s *State) Open(pause time.Duration) *Screen {
	return &Screen{Pause: pause, state: s, from: s.now(), since: s.now()}
}

// Shows notes that the page shows a value from now on. The error says that this was not
// the state's.
func (s *Screen) Shows(value string) error {
	err := s.Judge()
	s.value, s.from = value, s.state.now()
	s.since = 0
	if _, ok := s.state.staleness(value, 0, s.from, s.from); !ok {
		return fmt.Errorf("a page shows %q, which is another's", value)
	}
	return err
}

// Shown reports whether the page shows anything.
func (s *Screen) Shown() bool { return s.value != "" }

// Excuse notes that the page was out of sight until now, or that its poll would have failed
// without parker as well: it is judged anew from now on. If it shows nothing yet, it waits
// for its next poll, after its pause.
func (s *Screen) Excuse() {
	s.from = s.state.now()
	s.since = s.from
	if s.value == "" {
		s.from += s.Pause
	}
}

// Judge judges what the page has shown until now. The error says what was never there.
func (s *Screen) Judge() error {
	now := s.state.now()
	if s.value == "" {
		s.Worst = max(s.Worst, now-s.from-Later)
		return nil
	}
	stale, ok := s.state.staleness(s.value, s.since, s.from, now)
	if !ok {
		return fmt.Errorf("a page shows %q, which was never there", s.value)
	}
	s.Worst = max(s.Worst, stale-s.Pause-Later)
	return nil
}
