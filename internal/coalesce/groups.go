// Package coalesce lets requests that would get the same answer share one ask: a request
// joins an ask that is in flight, and the answer to a replay serves all requests that were
// released together, however many they are.
//
// Requests form a group if they have the same [Key]. An answer is never shared across an
// event: an ask that began before an event on the group's channels does not serve requests
// that ask after it.
package coalesce

import (
	"sync"
	"sync/atomic"
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

	someApart atomic.Bool // apart is not empty: most handlers need not look into it

	mu     sync.Mutex // guards all below and all that is in it
	groups map[Key]*Group
	apart  map[requester]time.Time // until when they ask alone
	looks  map[lot.Moment]*look    // by the event
	vain   int                     // events in a row for which looks found nothing
}

// Group holds the requests of one key. It exists as long as it has members.
type Group struct {
	groups   *Groups
	key      Key
	channels []string // of all members
	begun    lot.Mark // when the last call began

	members int
	call    *Call     // the newest, if it has not ended
	last    *Result   // of the newest call, if it can be shared
	since   time.Time // when that began

	reuseUntil time.Time   // until then last serves first asks as well
	reuse      *lot.Waiter // a timer for that, on no channel
	reusing    bool        // the group counts itself as a member, to keep last

	parked   map[*lot.Waiter]struct{} // from which ticks and looks choose
	look     *look                    // the last one that the group took part in
	told     *look                    // the last one of which all have taken a known answer,
	toldStep int                      // and its step then
	ticker   *lot.Waiter
	ticking  bool
}

// Gauge counts groups.
type Gauge interface {
	Inc()
	Dec()
}

// Options says how the groups of a handler ask.
type Options struct {
	// Reuse is how long a nothing-new answer serves first asks. 0: not at all.
	Reuse time.Duration

	// Watch is how often a parked request of each group is woken. 0: never.
	Watch time.Duration

	// LookAgain is when a group asks again after a wake-up that found nothing new, in
	// ascending order. None: never.
	LookAgain []time.Duration

	// Interest says what events are to the requests.
	Interest lot.Interest

	// Count counts the groups.
	Count Gauge
}

// New returns the groups of a handler.
func New(l *lot.Lot, options Options) *Groups {
	return &Groups{
		lot: l, reuse: options.Reuse, watch: options.Watch, lookAgain: options.LookAgain, interest: options.Interest, count: options.Count,
		groups: make(map[Key]*Group), looks: make(map[lot.Moment]*look),
	}
}

// Enter makes the caller a member of the key's group. All members wait on the same
// channels. [Group.Exit] must follow.
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

// requester stands for the clients at one address that ask for the same as a group. They decide
// for themselves whether they ask alone, and not for others.
type requester struct {
	group   Key
	address string
}

// How long they ask alone, and how many are remembered.
const (
	apartFor = 10 * time.Minute
	maxApart = 10_000
)

// Apart reports whether requests from an address should not wait for the answers to other
// members of the group, because a while ago none of these were for them.
func (g *Group) Apart(address string) bool {
	s := g.groups
	if !s.someApart.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.apart[requester{g.key, address}])
}

// SetApart makes Apart true for a while.
func (g *Group) SetApart(address string) {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apart == nil || len(s.apart) == maxApart {
		s.apart = make(map[requester]time.Time)
	}
	s.apart[requester{g.key, address}] = time.Now().Add(apartFor)
	s.someApart.Store(true)
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

// moved reports whether an event has come on the channels since the last call began. The
// caller holds the groups' lock.
func (g *Group) moved() bool { return g.groups.lot.Mark(g.channels) != g.begun }

// JoinOrLead joins a call, or returns the result of one that has ended, or makes the caller
// lead a call: exactly one of the three is not nil. The result of an ended call serves all
// replays, and first asks as long as it may be reused. A call that began before the last
// event serves nobody. If a call is overdue, the caller leads it as well.
//
// If a first ask must not be older than a time, no older result is reused for it. That is
// the zero time if it does not matter.
//
// If the caller leads, cancel is called when another's answer has come first, or when its
// client has left and no other request waits for the call.
func (g *Group) JoinOrLead(again bool, notBefore time.Time, cancel func()) (join *Call, ready *Result, lead *Leader) {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case g.call == nil && g.last == nil || g.moved():
	case g.call != nil && g.call.overdue:
		return nil, nil, g.call.lead(cancel)
	case g.call != nil:
		return g.join(), nil, nil
	case again || g.last.reusable() && time.Now().Before(g.reuseUntil) && !g.since.Before(notBefore):
		return nil, g.last, nil
	}
	return nil, nil, g.begin(again, cancel)
}

// begin starts a call. After an event from now on, it serves nobody else.
func (g *Group) begin(again bool, cancel func()) *Leader {
	g.begun = g.groups.lot.Mark(g.channels)
	g.last = nil
	g.since = time.Now()
	g.call = &Call{group: g, again: again, begun: g.since}
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

// keep keeps a call's result for the requests that it may serve later.
func (g *Group) keep(r *Result) {
	g.last = r
	if !r.reusable() || g.groups.reuse <= 0 {
		return
	}
	g.reuseUntil = time.Now().Add(g.groups.reuse)
	if g.reusing && !g.reuse.Leave() {
		return // the callback is about to run, and checks the time itself
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

// reused is called when the time for reuse may be over.
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
