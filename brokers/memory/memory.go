// Package memory is the broker of one process: events go straight to those who
// wait here, and end with the process.
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

// events is what outlives a configuration: the count, and who receives.
type events struct {
	epoch string

	mu         sync.Mutex // guards all below; not held while an event is delivered
	offset     uint64
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
// positions go on through a reload.
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
	return &events{epoch: rand.Text()[:10]}
}

// Deliver implements [brokers.Broker].
func (e *events) Deliver(receive func(brokers.Event) int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.receive = receive
}

// Position implements [brokers.Broker].
func (e *events) Position() brokers.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	return brokers.Position{Epoch: e.epoch, Offset: e.offset}
}

// Publish implements [brokers.Broker]: the event is delivered when it returns.
//
// Publishers that meet hand their events to the one that is delivering already,
// so that events arrive in the order of their positions and no lock is held
// meanwhile.
func (e *events) Publish(_ context.Context, channel string, message *brokers.Message) (brokers.Position, int, error) {
	e.mu.Lock()
	e.offset++
	d := &delivery{
		event: brokers.Event{
			Channel:  channel,
			Position: brokers.Position{Epoch: e.epoch, Offset: e.offset},
			Message:  message,
		},
		done: make(chan struct{}),
	}
	e.queue = append(e.queue, d)
	if e.delivering {
		e.mu.Unlock()
		<-d.done
		return d.event.Position, d.released, nil
	}
	e.delivering = true
	e.deliverQueue()
	e.mu.Unlock()
	return d.event.Position, d.released, nil
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
)
