package coalesce

import (
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Many applications answer a write before its result is visible: updates are deferred, or a
// cache or a replica lags. So a group whose members were woken and found nothing new looks
// again after a while, one member for all.
const (
	// lookSample is how many groups look at first, for one event and at one time. So
	// looks are few compared to replays if most wake-ups of a channel concern other
	// clients.
	lookSample = 64

	// lookMore is how many more groups look for each one that finds news, so that news
	// for most groups soon reaches all.
	lookMore = 8

	// After fadeAfter events in a row whose looks have found nothing, groups look for
	// one event in fadeTo, until a look finds news.
	fadeAfter = 16
	fadeTo    = 16
)

// Parking says why a member of a group parks.
type Parking uint8

const (
	// First: it has asked for the first time.
	First Parking = iota
	// InVain: it has asked because of an event, and there was nothing new.
	InVain
	// Anew: it was released for another reason.
	Anew
)

// look says which groups look again because of one event.
type look struct {
	event lot.Moment
	step  int // the index of the next time
	left  int // how many more groups may look
	timer *lot.Waiter

	next    map[*Group]struct{} // may look at that time
	pending map[*Group]struct{} // could look now, but are not in the sample

	asked, news bool
	over        bool // the last time has passed
}

// lookRest is how long an event is remembered after its looks: members that ask late
// because of it count with the others.
const lookRest = 10 * time.Second

// joinLook makes the group one of those that look again because of an event. It reports
// whether it is one. The caller holds the groups' lock.
func (g *Group) joinLook(event lot.Moment, why Parking) bool {
	s := g.groups
	e := s.looks[event]
	switch {
	case e == nil && (why == Anew || s.vain >= fadeAfter && !sampled(event)):
		return false
	case e == nil:
		e = &look{event: event, left: lookSample * len(s.lookAgain), timer: s.lot.Register(nil, lot.WakeUps), next: make(map[*Group]struct{})}
		s.looks[event] = e
		s.lookLater(e, s.lookAgain[0])
	case e.over && (why == Anew || e.left <= 0):
		return false
	case e.over:
		e.over, e.step = false, 0
		e.timer.Leave()
		s.lookLater(e, s.lookAgain[0])
	}
	if g.look != e {
		g.leaveLook()
	}
	e.next[g] = struct{}{}
	g.look = e
	return true
}

// leaveLook undoes joinLook. The caller holds the groups' lock.
func (g *Group) leaveLook() {
	e := g.look
	if e == nil {
		return
	}
	g.look = nil
	delete(e.next, g)
	delete(e.pending, g)
	if len(e.next)+len(e.pending) == 0 && !e.asked && g.groups.looks[e.event] == e {
		delete(g.groups.looks, e.event) // no group has looked
		e.timer.Leave()
	}
}

// sampled chooses one event in fadeTo.
func sampled(event lot.Moment) bool {
	return uint64(event)*0x9e3779b97f4a7c15>>32%fadeTo == 0
}

// Looks reports whether groups look again at all.
func (s *Groups) Looks() bool { return len(s.lookAgain) > 0 }

// recent reports whether a group that parks now must look again for the last event on its
// channels. The result of an event shortly before a first ask may not be visible yet. After
// an event since then the backend is asked anyway.
func (g *Group) recent(why Parking, asked time.Time) (event lot.Moment, ok bool) {
	s := g.groups
	if len(s.lookAgain) == 0 {
		return 0, false
	}
	event = s.lot.LatestWakeUp(g.channels, s.interest)
	if why != First {
		return event, event != 0
	}
	before := s.lot.Ago(event) - time.Since(asked)
	return event, event != 0 && before >= 0 && before < s.lookAgain[len(s.lookAgain)-1]
}

func (s *Groups) lookLater(e *look, after time.Duration) {
	e.timer.Hold(time.Now().Add(after), func(lot.Outcome) { s.look(e) })
}

// look makes a sample of the groups look, one member each, and waits for the next time.
func (s *Groups) look(e *look) {
	s.mu.Lock()
	if s.looks[e.event] != e {
		s.mu.Unlock()
		return
	}
	if e.over {
		delete(s.looks, e.event)
		s.mu.Unlock()
		return
	}
	for g := range e.pending {
		e.next[g] = struct{}{}
	}
	e.pending, e.next = e.next, make(map[*Group]struct{})
	chosen := s.choose(e, min(lookSample, e.left))
	e.left -= len(chosen)
	if e.step++; e.step < len(s.lookAgain) {
		s.lookLater(e, s.lookAgain[e.step]-s.lookAgain[e.step-1])
	} else {
		e.over = true
		if e.asked && !e.news {
			s.vain++
		}
		s.lookLater(e, lookRest)
	}
	s.mu.Unlock()
	lookAll(chosen)
}

// choose returns a member of each of up to count groups that can look now: their members
// are parked, none of them asks, and no event has come since. The caller holds the groups'
// lock.
func (s *Groups) choose(e *look, count int) (chosen []*lot.Waiter) {
	for g := range e.pending {
		if len(chosen) == count {
			break
		}
		delete(e.pending, g)
		if g.call != nil && !g.call.overdue || s.lot.LatestWakeUp(g.channels, s.interest) != e.event {
			continue
		}
		g.last = nil // the member must ask, whatever the last answer was, or else the next one that comes
		for w := range g.parked {
			chosen = append(chosen, w)
			e.asked = true
			break
		}
	}
	return chosen
}

// Found must be called when a member that looked has found news. All other members ask, and
// more groups look.
func (g *Group) Found() {
	s := g.groups
	s.mu.Lock()
	all := g.all()
	s.vain = 0
	if e := g.look; e != nil {
		e.news = true
		all = append(all, s.choose(e, lookMore)...)
	}
	s.mu.Unlock()
	lookAll(all)
}

// FoundKnown must be called when a member that looked has found what its client knows
// already. Others may have come before the result of the write was visible: all take the
// same answer, once for each time at which the group looks.
func (g *Group) FoundKnown() {
	s := g.groups
	s.mu.Lock()
	var all []*lot.Waiter
	if e := g.look; e != nil && (g.told != e || g.toldStep != e.step) {
		g.told, g.toldStep = e, e.step
		all = g.all()
	}
	s.mu.Unlock()
	lookAll(all)
}

func lookAll(all []*lot.Waiter) {
	for _, w := range all {
		w.Look()
	}
}
