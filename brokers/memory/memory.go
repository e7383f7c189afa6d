// Package memory is the broker of one process: events go straight to those who
// wait here, are remembered for a while, and end with the process.
package memory

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers"
)

func init() {
	caddy.RegisterModule(new(Broker))
}

// Broker carries events within this process, without any other service. Use it
// where one Caddy serves the site.
type Broker struct {
	*events
}

// events is what outlives a configuration: the count, the history, and who
// receives.
type events struct {
	epoch string

	mu         sync.Mutex // guards all below; not held while an event is delivered
	offset     uint64
	history    *history
	receive    func(brokers.Event) int
	queue      []*delivery
	delivering bool
}

// delivery is an event on its way to the receiver.
type delivery struct {
	event    brokers.Event
	released int
	done     chan struct{}
}

// processWide keeps the events while any configuration uses them, so that
// positions and history go on through a reload.
var processWide = caddy.NewUsagePool()

const poolKey = "memory"

// CaddyModule returns the Caddy module information.
func (*Broker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "parker.brokers.memory",
		New: func() caddy.Module { return new(Broker) },
	}
}

// UnmarshalCaddyfile reads the broker's name; it has no options.
func (*Broker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(d.Nesting()) {
		return d.Errf("unrecognized option of the memory broker: %s", d.Val())
	}
	return nil
}

// Provision joins the process's events.
func (b *Broker) Provision(caddy.Context) error {
	state, _ := processWide.LoadOrStore(poolKey, newEvents())
	b.events = state.(*events)
	return nil
}

// Cleanup leaves the process's events.
func (b *Broker) Cleanup() error {
	if b.events == nil {
		return nil
	}
	_, err := processWide.Delete(poolKey)
	return err
}

func newEvents() *events {
	e := &events{epoch: rand.Text()[:10]}
	e.history = newHistory(e.sweep)
	return e
}

// Destruct empties the history when the last configuration that used it is gone.
func (e *events) Destruct() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.limit(brokers.History{})
	return nil
}

// Start implements [brokers.Broker].
func (e *events) Start(history brokers.History, receive func(brokers.Event) int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.limit(history)
	e.receive = receive
}

// sweep is called by the history's timer.
func (e *events) sweep() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.sweep()
}

// Position implements [brokers.Broker].
func (e *events) Position() brokers.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.position(e.offset)
}

func (e *events) position(offset uint64) brokers.Position {
	return brokers.Position{Epoch: e.epoch, Offset: offset}
}

// Newest implements [brokers.Broker].
func (e *events) Newest(channels []string) brokers.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.position(e.history.last(channels))
}

// Events implements [brokers.Broker]. It never fails.
func (e *events) Events(_ context.Context, channels []string, after brokers.Position, limit int) (missed []brokers.Event, complete bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if after.Epoch != e.epoch || after.Offset > e.offset {
		return nil, false, nil
	}
	missed, complete = e.history.after(channels, after.Offset, limit)
	return missed, complete, nil
}

// Publish implements [brokers.Broker]: the event is delivered when it returns. It
// never fails.
//
// Publishers that meet hand their events to the one that is delivering already,
// so that events arrive in the order of their positions and no lock is held
// meanwhile.
func (e *events) Publish(_ context.Context, publication brokers.Publication) (brokers.Published, error) {
	e.mu.Lock()
	if earlier := e.history.named(publication.Channel, publication.ID); earlier != nil {
		e.mu.Unlock()
		return brokers.Published{Position: earlier.event.Position, Duplicate: true}, nil
	}
	e.offset++
	d := &delivery{
		event: brokers.Event{
			Channel:  publication.Channel,
			Position: e.position(e.offset),
			Message:  publication.Message,
		},
		done: make(chan struct{}),
	}
	// It is remembered before it is delivered: whoever registers, reads the
	// history and then parks, finds it here or there.
	e.history.add(d.event, publication.ID, publication.Lifetime)
	e.queue = append(e.queue, d)
	if e.delivering {
		e.mu.Unlock()
		<-d.done
	} else {
		e.delivering = true
		e.deliverQueue()
		e.mu.Unlock()
	}
	return brokers.Published{Position: d.event.Position, Released: d.released}, nil
}

// deliverQueue delivers until the queue is empty. It is called with the lock
// held, and returns with it held.
func (e *events) deliverQueue() {
	for len(e.queue) > 0 {
		batch, receive := e.queue, e.receive
		e.queue = nil
		e.mu.Unlock()
		for _, d := range batch {
			if receive != nil {
				d.released = receive(d.event)
			}
			close(d.done)
		}
		e.mu.Lock()
	}
	e.delivering = false
}

// Interface guards
var (
	_ brokers.Broker        = (*Broker)(nil)
	_ caddy.Provisioner     = (*Broker)(nil)
	_ caddy.CleanerUpper    = (*Broker)(nil)
	_ caddyfile.Unmarshaler = (*Broker)(nil)
	_ caddy.Destructor      = (*events)(nil)
)
