package lot

import (
	"container/heap"
	"sync"
	"time"
)

// deadlines is a queue of waiters by the time they are due, with one timer for
// all of them. An empty queue has no timer running.
type deadlines struct {
	lot *Lot

	mu      sync.Mutex // guards all below, and each queued waiter's place and due
	queue   byDue
	timer   *time.Timer
	rings   int64 // when the timer will, or 0
	stopped bool
}

// set queues the waiter, or moves it if it is queued. After stop it refuses
// those that are parked.
func (d *deadlines) set(w *Waiter, due int64, parked bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped && parked {
		return false
	}
	w.due = due
	if w.place < 0 {
		heap.Push(&d.queue, w)
	} else {
		heap.Fix(&d.queue, w.place)
	}
	d.arm()
	return true
}

// drop takes the waiter out of the queue if it is in. The timer is left: to ring
// once for nothing is cheaper than to set it anew for each that leaves.
func (d *deadlines) drop(w *Waiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.place >= 0 {
		heap.Remove(&d.queue, w.place)
	}
}

// arm has the timer ring when the first in the queue is due. The caller holds mu.
func (d *deadlines) arm() {
	if len(d.queue) == 0 || d.rings != 0 && d.rings <= d.queue[0].due {
		return
	}
	d.rings = max(d.queue[0].due, 1)
	wait := time.Duration(d.rings - d.lot.since(time.Now()))
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.ring)
	} else {
		d.timer.Reset(wait)
	}
}

// ring releases those that are due.
func (d *deadlines) ring() {
	now := d.lot.since(time.Now())
	var due []*Waiter
	d.mu.Lock()
	for len(d.queue) > 0 && d.queue[0].due <= now {
		due = append(due, heap.Pop(&d.queue).(*Waiter))
	}
	d.rings = 0
	d.arm()
	d.mu.Unlock()
	for _, w := range due {
		w.expired(now)
	}
}

// stop refuses parks from now on and returns those that are queued.
func (d *deadlines) stop() []*Waiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	return append([]*Waiter(nil), d.queue...)
}

// byDue is a heap in which each waiter knows its place, or -1 outside.
type byDue []*Waiter

func (q byDue) Len() int           { return len(q) }
func (q byDue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q byDue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *byDue) Push(x any) {
	w := x.(*Waiter)
	w.place = len(*q)
	*q = append(*q, w)
}

func (q *byDue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.place = -1
	return w
}
