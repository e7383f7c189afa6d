package lot

import (
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/due"
)

// deadlines is a queue of waiters by when they are due.
type deadlines struct {
	mu      sync.Mutex // guards all below
	queue   due.Queue[*Waiter]
	stopped bool
}

func (d *deadlines) init(start time.Time) { d.queue = due.New[*Waiter](start, 0, d.ring) }

// set adds the waiter, or changes when it is due. It returns false if the waiter would be
// parked after stop.
func (d *deadlines) set(w *Waiter, at time.Duration, parked bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped && parked {
		return false
	}
	d.queue.Set(&w.deadline, at)
	return true
}

// remove removes the waiter, if it is in the queue.
func (d *deadlines) remove(w *Waiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue.Remove(&w.deadline)
}

// ring releases the waiters that are due.
func (d *deadlines) ring() {
	now := d.queue.Now()
	var expired []*Waiter
	d.mu.Lock()
	for w, ok := d.queue.Pop(now); ok; w, ok = d.queue.Pop(now) {
		expired = append(expired, w)
	}
	d.mu.Unlock()
	for _, w := range expired {
		w.expired(now)
	}
}

// stop refuses parks from now on. It returns the waiters in the queue.
func (d *deadlines) stop() (waiters []*Waiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	for e := range d.queue.All {
		waiters = append(waiters, e.Value)
	}
	return waiters
}
