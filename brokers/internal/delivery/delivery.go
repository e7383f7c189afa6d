// Package delivery passes a broker's events to their receiver: one at a time, in
// order, and without holding a lock.
package delivery

import (
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Queue holds the events to be delivered. The zero value is ready to use.
type Queue struct {
	mu      sync.Mutex // guards all below; not held while an event is delivered
	receive brokers.Receive
	queue   []*Delivery
	running bool
}

// Delivery is an event in a [Queue].
type Delivery struct {
	event    brokers.Event
	begun    bool // guarded by the queue's mu
	released int
	done     chan struct{}
}

// Receive sets the function that later deliveries call.
func (q *Queue) Receive(receive brokers.Receive) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receive = receive
}

// Add appends an event to the queue. The caller holds the lock that orders its events,
// and calls [Queue.Run] or [Queue.Await] after releasing that lock.
func (q *Queue) Add(event brokers.Event) *Delivery {
	d := &Delivery{event: event, done: make(chan struct{})}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, d)
	return d
}

// Await waits until the event is delivered and the function that its receiver returned
// has run, and returns how many requests the event released. It does not wait for
// events that were added later. A receiver must not call Await, as it would deadlock.
func (q *Queue) Await(d *Delivery) (released int) {
	q.run(d)
	<-d.done
	return d.released
}

// Run delivers the queued events. If another goroutine is delivering already, Run
// returns at once, and that goroutine delivers them. Run does not wait for events that
// are added later.
func (q *Queue) Run() {
	q.mu.Lock()
	var newest *Delivery
	if n := len(q.queue); n > 0 {
		newest = q.queue[n-1]
	}
	q.mu.Unlock()
	if newest != nil {
		q.run(newest)
	}
}

// run delivers the queued events up to last, unless another goroutine is delivering
// already. A new goroutine delivers the events after last, so that the caller is not
// kept while others go on adding events.
func (q *Queue) run(last *Delivery) {
	q.mu.Lock()
	if q.running || last.begun {
		q.mu.Unlock()
		return
	}
	q.running = true
	q.mu.Unlock()
	if q.deliver(last) {
		go q.deliver(nil)
	}
}

// deliver delivers the queued events, up to last if that is not nil. It reports whether
// events are left, which the caller must have delivered.
func (q *Queue) deliver(last *Delivery) (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) > 0 {
		d, receive := q.queue[0], q.receive
		q.queue[0] = nil
		q.queue = q.queue[1:]
		d.begun = true
		q.mu.Unlock()
		d.give(receive)
		q.mu.Lock()
		if d == last {
			break
		}
	}
	q.running = len(q.queue) > 0
	return q.running
}

func (d *Delivery) give(receive brokers.Receive) {
	var rest func()
	if receive != nil {
		d.released, rest = receive(d.event)
	}
	if rest == nil {
		close(d.done)
		return
	}
	go func() {
		rest()
		close(d.done)
	}()
}
