package share

import (
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

// Parked says that a member's waiter is about to be parked. With a watch
// interval, one of those that are parked is woken at each tick, to ask for all.
func (g *Group) Parked(w *lot.Waiter) {
	s := g.groups
	if s.watch <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.parked == nil {
		g.parked = make(map[*lot.Waiter]struct{})
	}
	g.parked[w] = struct{}{}
	if !g.ticking {
		g.tickLater()
	}
}

// Unparked says that it is not any more.
func (g *Group) Unparked(w *lot.Waiter) {
	s := g.groups
	if s.watch <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(g.parked, w)
}

// WakeAll wakes all members that are parked: the one that the tick woke found
// news.
func (g *Group) WakeAll() {
	s := g.groups
	s.mu.Lock()
	all := make([]*lot.Waiter, 0, len(g.parked))
	for w := range g.parked {
		all = append(all, w)
	}
	s.mu.Unlock()
	for _, w := range all {
		w.Wake()
	}
}

func (g *Group) tickLater() {
	if g.ticker == nil {
		g.ticker = g.groups.lot.Register(nil, lot.WakeUps)
	}
	g.ticking = true
	g.ticker.Hold(time.Now().Add(g.groups.watch), g.tick)
}

// tick wakes one parked member, unless an ask is in flight that the backend may still
// answer, and goes on as long as there are any.
func (g *Group) tick(lot.Outcome) {
	s := g.groups
	s.mu.Lock()
	g.ticking = false
	var chosen *lot.Waiter
	if g.flight == nil || g.flight.overdue {
		for w := range g.parked {
			chosen = w
			break
		}
	}
	if chosen != nil {
		g.last = nil // it asks, whatever the last answer was
	}
	if len(g.parked) > 0 {
		g.tickLater()
	}
	s.mu.Unlock()
	if chosen != nil {
		chosen.Wake()
	}
}
