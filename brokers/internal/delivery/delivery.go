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
	receive func(brokers.Event) int
	queue   []*Delivery
	running bool
}

// Delivery is an event on its way.
type Delivery struct {
	event    brokers.Event
	released int
	done     chan struct{}
}

// Receive says where events go to from now on.
func (q *Queue) Receive(receive func(brokers.Event) int) {
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

// Await returns how many requests an event let go, when it is delivered. Who receives
// events must not call it, as it would wait for itself.
func (q *Queue) Await(d *Delivery) (released int) {
	q.Run()
	<-d.done
	return d.released
}

// Run delivers what is lined up, unless somebody is delivering already, who then
// goes on with it.
func (q *Queue) Run() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running {
		return
	}
	q.running = true
	for len(q.queue) > 0 {
		batch, receive := q.queue, q.receive
		q.queue = nil
		q.mu.Unlock()
		for _, d := range batch {
			if receive != nil {
				d.released = receive(d.event)
			}
			close(d.done)
		}
		q.mu.Lock()
	}
	q.running = false
}
