// Package delivery hands a broker's events to whoever receives them: one at a
// time, in order, and with no lock held meanwhile.
package delivery

import (
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Queue is the events that are on their way. Its zero value is ready for use.
type Queue struct {
	mu      sync.Mutex // guards all below; not held while an event is delivered
	receive brokers.Receive
	queue   []*Delivery
	running bool
}

// Delivery is an event on its way.
type Delivery struct {
	event    brokers.Event
	begun    bool // guarded by the queue's mu
	released int
	done     chan struct{}
}

// Receive says where events go to from now on.
func (q *Queue) Receive(receive brokers.Receive) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receive = receive
}

// Add lines an event up. Whoever keeps events in order calls it under the lock that
// does, and [Queue.Run] or [Queue.Await] without.
func (q *Queue) Add(event brokers.Event) *Delivery {
	d := &Delivery{event: event, done: make(chan struct{})}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, d)
	return d
}

// Await returns how many requests an event let go, when it is delivered and what was
// left to do for it is done. It does not wait for events that were added later. Who
// receives events must not call it, as it would wait for itself.
func (q *Queue) Await(d *Delivery) (released int) {
	q.run(d)
	<-d.done
	return d.released
}

// Run delivers what is lined up, unless somebody is delivering already, who then goes
// on with it. What is added later does not keep it.
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

// run delivers what is lined up, as far as the last that the caller has to do with,
// unless somebody is delivering already. What has come behind that is left to a
// goroutine: others may add events for as long as they like.
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

// deliver delivers what is lined up, and ends behind the last if that is not nil. It
// reports whether there is more, which somebody has to go on with.
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

// give delivers the event.
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
