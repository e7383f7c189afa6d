package coalesce

import (
	"slices"
	"time"
)

// Flight is what members of a group wait for together. One of them leads it, with an
// [Ask] that is at the backend or queues for it; others join and wait for the [Result].
// If the backend does not answer, further members lead it with asks of their own: the
// first answer serves all.
type Flight struct {
	group *Group
	again bool // it is a replay
	begun time.Time
	first Ask

	// done is closed when there is a result, more has one who joined lead, too. Both
	// are nil until somebody joins.
	done chan struct{}
	more chan struct{}

	// Guarded by the groups' lock.
	joiners int
	asks    []*Ask    // that run
	one     [1]*Ask   // room for them, mostly enough
	overdue bool      // the next member to come leads
	freed   time.Time // when an event last had one who joined lead
	result  *Result   // set before done is closed
}

// Ask is what one member of a group that leads a flight asks the backend.
type Ask struct {
	flight *Flight
	cancel func()
	left   bool // its client is gone; guarded by the groups' lock
}

// slowAfter is when an event has one more member lead. Before that the backend may well
// answer, and each that leads is an ask more at a backend that is slow.
const slowAfter = time.Second

// Done is closed when the flight has a result.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Result is what the flight brought, once it has ended.
func (f *Flight) Result() *Result { return f.result }

// More receives when one that joined is to call [Flight.Lead].
func (f *Flight) More() <-chan struct{} { return f.more }

// Lead has one who joined lead, if the backend is still to be asked once more. Else it
// returns nil.
func (f *Flight) Lead(cancel func()) *Ask {
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.result != nil || !f.overdue {
		return nil
	}
	f.joiners--
	return f.lead(cancel)
}

// Slow reports whether the backend takes long to answer.
func (f *Flight) Slow() bool { return time.Since(f.begun) >= slowAfter }

// Free is Lead for one that joined and has heard of an event at a moment: what is asked
// now may be answered, though what was asked before is not. Of all that have heard of it
// one leads. If the flight is not slow yet, it is to be called again after the wait.
func (f *Flight) Free(heard time.Time, cancel func()) (ask *Ask, wait time.Duration) {
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.result != nil || !f.freed.Before(heard) {
		return nil, 0
	}
	if wait = slowAfter - time.Since(f.begun); wait > 0 {
		return nil, wait
	}
	f.freed = time.Now()
	f.joiners--
	return f.lead(cancel), 0
}

// lead begins an ask. The caller holds the groups' lock.
func (f *Flight) lead(cancel func()) *Ask {
	ask := &f.first
	if ask.flight != nil {
		ask = new(Ask)
	}
	*ask = Ask{flight: f, cancel: cancel}
	f.asks = append(f.asks, ask)
	f.overdue = false
	f.boundLeft()
	return ask
}

// maxLeft is how many asks of one flight go on whose clients are gone.
const maxLeft = 3

// boundLeft cancels the oldest of those, if there are more. The caller holds the groups'
// lock.
func (f *Flight) boundLeft() {
	left := 0
	for _, ask := range slices.Backward(f.asks) {
		if ask.left {
			if left++; left > maxLeft {
				ask.cancel()
			}
		}
	}
}

// JoinerLeft is called when one who joined waits no longer.
func (f *Flight) JoinerLeft() {
	s := f.group.groups
	s.mu.Lock()
	f.joiners--
	abandoned := f.abandoned()
	s.mu.Unlock()
	cancel(abandoned)
}

// LeaderLeft is called when the client of the ask is gone. The ask goes on as long as
// others wait for the flight; else it is cancelled, also if its answer streams to that
// client alone.
func (a *Ask) LeaderLeft() {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	a.left = true
	abandoned := f.abandoned()
	if f.joiners == 0 && !slices.Contains(abandoned, a) {
		abandoned = append(abandoned, a) // it has landed
	}
	s.mu.Unlock()
	cancel(abandoned)
}

// abandoned returns the asks for which nobody waits any more. The caller holds the
// groups' lock.
func (f *Flight) abandoned() (asks []*Ask) {
	if f.joiners > 0 {
		return nil
	}
	for _, ask := range f.asks {
		if ask.left {
			asks = append(asks, ask)
		}
	}
	if len(asks) == len(f.asks) {
		f.detach()
	}
	return asks
}

func cancel(asks []*Ask) {
	for _, ask := range asks {
		ask.cancel()
	}
}

// Overdue is called when the backend should have begun to answer by now: one more
// member is to ask it.
func (a *Ask) Overdue() {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.result != nil || !slices.Contains(f.asks, a) {
		return
	}
	f.overdue = true
	if f.joiners > 0 {
		select {
		case f.more <- struct{}{}:
		default:
		}
	}
}

// Alone closes the flight to further joiners, unless there are some already or it is a
// replay that others need too. It reports whether the leader has the answer for itself.
func (a *Ask) Alone() bool {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.joiners > 0 || len(f.asks) > 1 || f.awaited() {
		return false
	}
	f.detach()
	return true
}

// awaited reports whether others are sure to come for the answer: what released the
// leader has released them too, or will. The caller holds the groups' lock.
func (f *Flight) awaited() bool {
	g := f.group
	others := g.members - 1
	if g.reusing {
		others--
	}
	return f.again && others > 0 && g.flight == f && !g.moved()
}

// detach closes the flight to joiners. The caller holds the groups' lock.
func (f *Flight) detach() {
	if f.group.flight == f {
		f.group.flight = nil
	}
}

// Land ends the ask, and the flight with it: what else is asked for it is cancelled, if
// the result serves all. The result also serves all that come later, as long as
// nothing happens on their channels; one without an answer, or of an ask that failed,
// does not: they would fail for ever. Nor is one kept for a group that its last member
// has left. A failure does not end a flight for which others still ask.
//
// It reports whether the ask is the first that the flight ends with.
func (a *Ask) Land(r *Result) (first bool) {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	f.drop(a)
	var others []*Ask
	if first = f.result == nil; first && !(r.fails() && len(f.asks) > 0) {
		f.land(r)
		if r.serves() {
			others = f.asks
			f.asks = nil
		}
	}
	s.mu.Unlock()
	cancel(others)
	return first
}

// GiveUp ends an ask that was cancelled. If none is left, the flight ends without an
// answer, and all that joined ask again at the time given.
func (a *Ask) GiveUp(retry time.Time) {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	f.drop(a)
	if f.result == nil && len(f.asks) == 0 {
		f.land(&Result{Retry: retry})
	}
}

// Served returns the result that another ask brought meanwhile, if it is one for all.
// Else it returns nil.
func (a *Ask) Served() *Result {
	f := a.flight
	s := f.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.result == nil || !f.result.serves() {
		return nil
	}
	return f.result
}

// drop takes an ask out of those that run. The caller holds the groups' lock.
func (f *Flight) drop(a *Ask) {
	f.asks = slices.DeleteFunc(f.asks, func(other *Ask) bool { return other == a })
}

// land ends the flight. The caller holds the groups' lock.
func (f *Flight) land(r *Result) {
	g := f.group
	if g.flight == f {
		g.flight = nil
		if g.members > 0 && r.Answer != nil && r.Err == nil && r.Retry.IsZero() && !g.moved() {
			g.keep(r)
		}
	}
	f.result = r
	f.joiners = 0 // nobody waits for it any more
	if f.done != nil {
		close(f.done)
	}
}
