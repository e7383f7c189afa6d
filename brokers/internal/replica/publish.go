package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// patience is how long the server may be silent while an entry is to come back.
// After that it counts as away, and after mostPatience whatever it says.
const (
	patience     = time.Second
	mostPatience = 3 * time.Second
)

var errSlow = errors.New("what was published does not come back")

// Publish implements [brokers.Broker]. The error says that too much waits for the server
// already, or that the server refuses the entry.
func (r *replica) Publish(_ context.Context, publication brokers.Publication) (brokers.Published, error) {
	r.mu.Lock()
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

// await returns what came of an entry. If it does not come back, the server counts
// as away.
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

// patienceLeft is for how long the server may yet be waited for. Where others that
// were published here come back there is much to do, and all is well.
func (r *replica) patienceLeft(begin time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := min(patience-time.Since(r.heard), mostPatience-time.Since(begin))
	return max(patience-time.Since(r.returned), heard)
}

// accept has an entry wait for the server, and wakes the requests here that wait on its channel.
// The caller holds mu and runs the delivery.
func (r *replica) accept(e *own) {
	e.finish(brokers.Published{Unreachable: true}, r.delivery.Add(r.early(e)), nil)
}

// early is what an entry is here before the log has it: a wake-up, unless nothing else
// will follow. The caller holds mu.
func (r *replica) early(e *own) brokers.Event {
	event := brokers.Event{Channel: e.Channel, Position: r.copy.position(), Uncounted: true}
	if r.over {
		event.Message = e.Message
	}
	return event
}

// unreachable has everything be accepted that waits for the server, and the server be
// looked for.
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
