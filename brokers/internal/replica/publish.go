package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// patience is how long the server may be silent while a published entry has not been
// read back. After that the server counts as unreachable. After mostPatience it does so
// even if it sends something else.
const (
	patience     = time.Second
	mostPatience = 3 * time.Second
)

var errSlow = errors.New("a published event did not return from the server in time")

// Publish implements [brokers.Broker]. It fails if the outbox is full, if the server
// refuses the entry, or if the copy has ended.
func (r *replica) Publish(_ context.Context, publication brokers.Publication) (brokers.Published, error) {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return brokers.Published{}, brokers.ErrEnded
	}
	if earlier, ok := r.copy.named(publication.Channel, publication.ID); ok {
		r.mu.Unlock()
		return brokers.Published{Position: earlier.Position, Duplicate: true}, nil
	}
	if waits := r.outbox.named(publication.Channel, publication.ID); waits != nil {
		r.mu.Unlock()
		published, err := r.await(waits)
		published.Duplicate, published.Released = true, 0
		return published, err
	}
	e := &own{
		Entry: Entry{
			Channel:  publication.Channel,
			Message:  publication.Message,
			ID:       publication.ID,
			Lifetime: publication.Lifetime,
			Node:     r.node,
		},
		done: make(chan struct{}),
	}
	stands, err := r.outbox.add(e)
	if err == nil && (stands || !r.reachable) {
		r.accept(e)
	}
	r.outbox.fill()
	r.mu.Unlock()
	if err != nil {
		return brokers.Published{}, err
	}
	return r.await(e)
}

// await waits for the outcome of an entry. If the entry does not return in time, the
// server counts as unreachable.
func (r *replica) await(e *own) (brokers.Published, error) {
	begin := time.Now()
	slow := time.NewTimer(patience)
	defer slow.Stop()
	for waits := true; waits; {
		select {
		case <-e.done:
			waits = false
		case <-slow.C:
			if left := r.patienceLeft(begin); left > 0 {
				slow.Reset(left)
			} else {
				r.unreachable(errSlow)
			}
		}
	}
	published := e.result
	if e.delivery != nil {
		published.Released = r.delivery.Await(e.delivery)
	}
	return published, e.err
}

// patienceLeft returns how much longer to wait for the server. While other entries of
// this process return, the server is only busy.
func (r *replica) patienceLeft(begin time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := min(patience-time.Since(r.heard), mostPatience-time.Since(begin))
	return max(patience-time.Since(r.returned), heard)
}

// accept leaves an entry in the outbox until the server is reachable, and wakes the
// requests of this process that wait on its channel. The caller holds mu and runs the
// delivery.
func (r *replica) accept(e *own) {
	wakeUp := brokers.Event{Channel: e.Channel, Position: r.copy.position(), Uncounted: true}
	e.finish(brokers.Published{Unreachable: true}, r.delivery.Add(wakeUp), nil)
}

// unreachable marks the server as unreachable, accepts all entries in the outbox and
// ends the session, so that a new one begins.
func (r *replica) unreachable(cause error) {
	r.mu.Lock()
	r.reachable = false
	for _, e := range r.outbox.entries {
		if !e.result.Unreachable {
			r.accept(e)
		}
	}
	if r.disrupt != nil {
		r.disrupt(cause)
	}
	r.moved()
	r.mu.Unlock()
	r.delivery.Run()
}
