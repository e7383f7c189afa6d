package hub

import (
	"context"
	"sync/atomic"

	"github.com/caddy-parker/parker/brokers"
)

// Broker is what carries events in this process: the broker of the configuration in
// force. The handlers of all configurations use it. Those of one that is about to start
// may have requests already, while nobody receives from its own broker yet; and those of
// one that is over have some still, while other processes do not hear its broker any
// more.
type Broker struct {
	inForce atomic.Pointer[brokers.Broker]
}

// use has events carried by a broker from now on, which has been started. What the one
// before has taken is delivered by it.
func (b *Broker) use(broker brokers.Broker) { b.inForce.Store(&broker) }

func (b *Broker) broker() brokers.Broker { return *b.inForce.Load() }

// Publish is [brokers.Broker]'s.
func (b *Broker) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	return b.broker().Publish(ctx, publication)
}

// Events is [brokers.Broker]'s. A position of a broker that was in force before is one
// of another epoch.
func (b *Broker) Events(ctx context.Context, channels []string, after brokers.Position, limit int) ([]brokers.Event, bool, error) {
	return b.broker().Events(ctx, channels, after, limit)
}

// Position is [brokers.Broker]'s.
func (b *Broker) Position() brokers.Position { return b.broker().Position() }

// Newest is [brokers.Broker]'s.
func (b *Broker) Newest(channels []string) brokers.Position { return b.broker().Newest(channels) }

// Health is [brokers.Broker]'s.
func (b *Broker) Health() brokers.Health { return b.broker().Health() }
