// Package coalesce lets requests that would get the same answer share one: an ask
// that is in flight is joined, and the answer of a replay serves all that were
// released with it, however many they are.
//
// Requests belong together if they have the same [Key]. What a group shares is
// only ever as old as the last event on its channels: an ask that began before an
// event serves nobody who comes after it.
package coalesce

import (
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Groups holds the groups of one handler.
type Groups struct {
	lot   *lot.Lot
	reuse time.Duration
	watch time.Duration
	count Gauge

	lookAgain []time.Duration // when, after a wake-up that found nothing new
	interest  lot.Interest

	mu     sync.Mutex // guards all below and all that is in it
	groups map[Key]*Group
	looks  map[lot.Moment]*look // by the event
	vain   int                  // events in a row for which looks brought nothing
}

// Group is the requests of one key. It lives as long as it has members.
type Group struct {
	groups   *Groups
	key      Key
	channels []string // of all members
	begun    lot.Mark // when the last call began

	members int
	call    *Call   // the youngest, if it has not ended
	last    *Result // the youngest call's, if it can be shared

	reuseUntil time.Time   // last serves first asks too until then
	reuse      *lot.Waiter // on no channel: it tells when that time is over
	reusing    bool        // the group is a member of its own, for last's sake

	parked   map[*lot.Waiter]struct{} // for the tick and for looks to choose from
	look     *look                    // the last that it took part in
	told     *look                    // of which all have taken an answer that one knew,
	toldStep int                      // and at which time
	ticker   *lot.Waiter
	ticking  bool
}

// Gauge is told how many groups there are.
type Gauge interface {
	Inc()
	Dec()
}

// Options is how the groups of a handler ask.
type Options struct {
	// Reuse is how long a nothing-new answer serves first asks. 0: not at all.
	Reuse time.Duration

	// Watch is how often a parked request of each group is woken. 0: never.
	Watch time.Duration

	// LookAgain is when a group asks again after a wake-up that found nothing new, in
	// ascending order. None: never.
	LookAgain []time.Duration

	// Interest is what events are to the requests.
	Interest lot.Interest

	// Count is told how many groups there are.
	Count Gauge
}

// New makes the groups of a handler.
func New(l *lot.Lot, options Options) *Groups {
	return &Groups{
		lot: l, reuse: options.Reuse, watch: options.Watch, lookAgain: options.LookAgain, interest: options.Interest, count: options.Count,
		groups: make(map[Key]*Group), looks: make(map[lot.Moment]*look),
	}
}

// Enter makes the caller a member of the key's group, whose members all wait on
// the same channels. [Group.Exit] must follow.
func (s *Groups) Enter(key Key, channels []string) *Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[key]
	if g == nil {
		g = &Group{groups: s, key: key, channels: channels}
		s.groups[key] = g
		s.count.Inc()
	}
	g.members++
	return g
}

// Exit ends a membership.
func (g *Group) Exit() {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	g.exit()
}

func (g *Group) exit() {
	g.members--
	if g.members > 0 {
		return
	}
	g.leaveLook()
	delete(g.groups.groups, g.key)
	g.groups.count.Dec()
}

// moved reports whether anything happened on the channels since the last call began.
// The caller holds the groups' lock.
func (g *Group) moved() bool { return g.groups.lot.Mark(g.channels) != g.begun }

// JoinOrLead joins a call, or is served at once by the result of one that has ended,
// or leads a call of its own: just one of the three is not nil. An ended call
// serves all that ask again, and first asks as long as its answer is for reuse.
// What is on the way or was brought before the last event serves nobody. A call that
// is overdue is led by the caller, too.
//
// cancel is called if the caller leads, and either another's answer has come first, or
// its client leaves and nobody else waits.
func (g *Group) JoinOrLead(again bool, cancel func()) (join *Call, ready *Result, lead *Leader) {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case g.call == nil && g.last == nil || g.moved():
	case g.call != nil && g.call.overdue:
		return nil, nil, g.call.lead(cancel)
	case g.call != nil:
		return g.join(), nil, nil
	case again || g.last.NothingNew && time.Now().Before(g.reuseUntil):
		return nil, g.last, nil
	}
	return nil, nil, g.begin(again, cancel)
}

// begin starts a call. From here on events count against it.
func (g *Group) begin(again bool, cancel func()) *Leader {
	g.begun = g.groups.lot.Mark(g.channels)
	g.last = nil
	g.call = &Call{group: g, again: again, begun: time.Now()}
	g.call.leaders = g.call.one[:0]
	return g.call.lead(cancel)
}

func (g *Group) join() *Call {
	c := g.call
	c.joiners++
	if c.done == nil {
		c.done, c.more = make(chan struct{}), make(chan struct{}, 1)
	}
	return c
}

// keep holds on to a call's result for all that it may serve later.
func (g *Group) keep(r *Result) {
	g.last = r
	if !r.NothingNew || g.groups.reuse <= 0 {
		return
	}
	g.reuseUntil = time.Now().Add(g.groups.reuse)
	if g.reusing && !g.reuse.Leave() {
		return // the callback is on its way, and looks at the time itself
	}
	if !g.reusing {
		g.reusing = true
		g.members++
	}
	if g.reuse == nil {
		g.reuse = g.groups.lot.Register(nil, lot.WakeUps)
	}
	g.reuse.Hold(g.reuseUntil, g.reused)
}

// reused is called when the time of reuse may be over.
func (g *Group) reused(lot.Outcome) {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(g.reuseUntil) {
		g.reuse.Hold(g.reuseUntil, g.reused)
		return
	}
	g.reusing = false
	g.exit()
}
