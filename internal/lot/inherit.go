package lot

import (
	"cmp"
	"slices"
)

// Inherit gives the waiter the events that another has noted and that were not taken yet.
// The waiter replaces the other one, and was registered before that leaves: so no event is
// lost between the two, and an event that came for both is there once. Neither must be
// parked or held, and either both are subscribers or neither is.
func (w *Waiter) Inherit(from *Waiter) {
	from.mu.Lock()
	loss, event, moved, superseded, lost := from.loss, from.event, from.moved, from.superseded, from.lost
	var queued []*Event
	overflowed := false
	if from.queue != nil {
		queued, overflowed = from.queue.events, from.queue.overflowed
		from.queue.events = nil
	}
	from.mu.Unlock()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = w.moved || moved
	w.superseded = w.superseded || superseded
	w.lost = max(w.lost, lost)
	w.precededBy(loss, event)
	if w.queue != nil {
		w.queue.precede(queued, overflowed, w.wanted)
	}
}

// inherit gives what another waiter has noted to a waiter that is neither parked nor held:
// a loss and an earlier event, each of which may be nil.
func (w *Waiter) inherit(loss, e *Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = true
	w.precededBy(loss, e)
}

// precededBy notes a loss and an event that came before the noted ones. Each may be nil.
// The caller holds mu.
func (w *Waiter) precededBy(loss, e *Event) {
	if w.loss == nil {
		w.loss = loss
	}
	if e = w.wanted(e); e != nil && !w.knows(e) && (w.event == nil || !w.event.outweighs(e)) {
		w.event = e
	}
}

// wanted returns the event as the waiter wants it, or nil if it does not want it.
func (w *Waiter) wanted(e *Event) *Event {
	switch {
	case e == nil || w.interest == MessagesOnly && e.isWakeUp():
		return nil
	case w.interest == WakeUps:
		return e.bare()
	}
	return e
}

// precede puts earlier events in front, without those that came for both.
func (q *queue) precede(earlier []*Event, overflowed bool, wanted func(*Event) *Event) {
	if len(earlier) == 0 && !overflowed {
		return
	}
	all := make([]*Event, 0, len(earlier)+len(q.events))
	for _, e := range earlier {
		if e = wanted(e); e != nil {
			all = append(all, e)
		}
	}
	all = append(all, q.events...)
	slices.SortStableFunc(all, func(a, b *Event) int { return cmp.Compare(a.came, b.came) })
	all = slices.CompactFunc(all, func(a, b *Event) bool { return a.came == b.came })
	overflowed = overflowed || q.overflowed
	q.events, q.bytes, q.overflowed = nil, 0, overflowed
	for _, e := range all {
		q.put(e)
	}
}
