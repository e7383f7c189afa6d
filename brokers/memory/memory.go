// Package memory is the broker for a single process: events go directly to the
// requests that wait in this process, are kept for a while, and are lost when the
// process ends.
package memory

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/delivery"
	"github.com/caddy-parker/parker/brokers/internal/history"
)

func init() {
	caddy.RegisterModule(new(Broker))
}

// Broker carries events within this process and needs no other service. Use it if a
// single Caddy serves the site.
type Broker struct {
	*events
}

// events is the state that outlives a configuration: the count, the history and the
// receiver.
type events struct {
	epoch    string
	delivery delivery.Queue

	mu      sync.Mutex // guards all below; not held while an event is delivered
	offset  uint64
	history *history.History
}

// processWide keeps the events while any configuration uses them, so that positions
// and history survive a reload.
var processWide = caddy.NewUsagePool()

const poolKey = "memory"

// CaddyModule returns the Caddy module information.
func (*Broker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "parker.brokers.memory",
		New: func() caddy.Module { return new(Broker) },
	}
}

// UnmarshalCaddyfile consumes the broker's name. The broker has no options.
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

// Provision takes a reference to the events of the process.
func (b *Broker) Provision(caddy.Context) error {
	state, _ := processWide.LoadOrStore(poolKey, newEvents())
	b.events = state.(*events)
	return nil
}

// Cleanup releases the reference to the events of the process.
func (b *Broker) Cleanup() error {
	if b.events == nil {
		return nil
	}
	_, err := processWide.Delete(poolKey)
	return err
}

func newEvents() *events {
	e := &events{epoch: rand.Text()[:10]}
	e.history = history.New(e.sweep)
	return e
}

// Destruct empties the history when the last configuration that used it is gone.
func (e *events) Destruct() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.Limit(brokers.History{})
	return nil
}

// Start implements [brokers.Broker].
func (e *events) Start(limits brokers.History, receive brokers.Receive) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.Limit(limits)
	e.delivery.Receive(receive)
}

// sweep is called by the history's timer.
func (e *events) sweep() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.history.Sweep()
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
	return e.position(e.history.Last(channels))
}

// Events implements [brokers.Broker]. It never fails.
func (e *events) Events(_ context.Context, channels []string, after brokers.Position, limit int) (missed []brokers.Event, complete bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if after.Offset > e.offset || after != e.position(after.Offset) {
		return nil, false, nil
	}
	missed, complete = e.history.After(channels, after.Offset, limit)
	return missed, complete, nil
}

// Publish implements [brokers.Broker]: the event is delivered when it returns. It
// never fails.
func (e *events) Publish(_ context.Context, publication brokers.Publication) (brokers.Published, error) {
	e.mu.Lock()
	if earlier, ok := e.history.Named(publication.Channel, publication.ID); ok {
		e.mu.Unlock()
		return brokers.Published{Position: earlier.Position, Duplicate: true}, nil
	}
	e.offset++
	event := brokers.Event{
		Channel:  publication.Channel,
		Position: e.position(e.offset),
		Message:  publication.Message,
	}
	// The event is remembered before it is delivered: a request that registers, reads
	// the history and then parks gets it from one or the other.
	e.history.Add(event, publication.ID, publication.Lifetime)
	under := e.delivery.Add(event)
	e.mu.Unlock()
	return brokers.Published{Position: event.Position, Released: e.delivery.Await(under)}, nil
}

// Health implements [brokers.Broker]. The broker is always reachable.
func (e *events) Health() brokers.Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	return brokers.Health{Reachable: true, HistoryBytes: e.history.Bytes()}
}

// Interface guards
var (
	_ brokers.Broker        = (*Broker)(nil)
	_ caddy.Provisioner     = (*Broker)(nil)
	_ caddy.CleanerUpper    = (*Broker)(nil)
	_ caddyfile.Unmarshaler = (*Broker)(nil)
	_ caddy.Destructor      = (*events)(nil)
)
