package coalesce

import (
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Parked must be called when a member's waiter is about to be parked. With a watch interval,
// one parked member is woken at each tick, to ask for all. After a wake-up that found
// nothing new, one member looks again. asked is when the member has last asked. If listed
// is true, [Group.Unparked] must follow.
func (g *Group) Parked(w *lot.Waiter, why Parking, asked time.Time) (listed bool) {
	s := g.groups
	event, looks := g.recent(why, asked)
	if s.watch <= 0 && !looks {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if looks {
		looks = g.joinLook(event, why)
	}
	if s.watch <= 0 && !looks {
		return false
	}
	if g.parked == nil {
		g.parked = make(map[*lot.Waiter]struct{})
	}
	g.parked[w] = struct{}{}
	if s.watch > 0 && !g.ticking {
		g.tickLater()
	}
	return true
}

// Unparked undoes Parked.
func (g *Group) Unparked(w *lot.Waiter) {
	s := g.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(g.parked, w)
}

// WakeAll wakes all parked members, because the one that the tick has woken found news.
func (g *Group) WakeAll() {
	s := g.groups
	s.mu.Lock()
	all := g.all()
	s.mu.Unlock()
	for _, w := range all {
		w.Wake()
	}
}

// all returns the parked members. The caller holds the groups' lock.
func (g *Group) all() []*lot.Waiter {
	all := make([]*lot.Waiter, 0, len(g.parked))
	for w := range g.parked {
		all = append(all, w)
	}
	return all
}

func (g *Group) tickLater() {
	if g.ticker == nil {
		g.ticker = g.groups.lot.Register(nil, lot.WakeUps)
	}
	g.ticking = true
	g.ticker.Hold(time.Now().Add(g.groups.watch), g.tick)
}

// tick wakes one parked member, unless there is an ask in flight that the backend may still
// answer. Ticks go on as long as members are parked.
func (g *Group) tick(lot.Outcome) {
	s := g.groups
	s.mu.Lock()
	g.ticking = false
	var chosen *lot.Waiter
	if g.call == nil || g.call.overdue {
		for w := range g.parked {
			chosen = w
			break
		}
	}
	if g.call == nil || g.call.overdue {
		g.last = nil // the member must ask, whatever the last answer was, or else the next one that comes
	}
	if len(g.parked) > 0 {
		g.tickLater()
	}
	s.mu.Unlock()
	if chosen != nil {
		chosen.Wake()
	}
}
