package hub

import (
	"context"
	"sync/atomic"

	"github.com/caddy-parker/parker/brokers"
)

// Broker forwards to the broker of the configuration in force. The handlers of all
// configurations use it. A configuration that is about to start may already have
// requests, but nothing receives events from its own broker yet. A configuration that
// was replaced may still have requests, but its own broker no longer reaches other
// processes.
type Broker struct {
	inForce atomic.Pointer[brokers.Broker]
}

// use switches to a broker, which must have been started. Events that were published
// before are still delivered by the broker before.
func (b *Broker) use(broker brokers.Broker) { b.inForce.Store(&broker) }

func (b *Broker) broker() brokers.Broker { return *b.inForce.Load() }

// Publish implements [brokers.Broker].
func (b *Broker) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	return b.broker().Publish(ctx, publication)
}

// Events implements [brokers.Broker]. A position of a broker that was in force before
// belongs to another epoch.
func (b *Broker) Events(ctx context.Context, channels []string, after brokers.Position, limit int) ([]brokers.Event, bool, error) {
	return b.broker().Events(ctx, channels, after, limit)
}

// Position implements [brokers.Broker].
func (b *Broker) Position() brokers.Position { return b.broker().Position() }

// Newest implements [brokers.Broker].
func (b *Broker) Newest(channels []string) brokers.Position { return b.broker().Newest(channels) }

// Health implements [brokers.Broker].
func (b *Broker) Health() brokers.Health { return b.broker().Health() }
