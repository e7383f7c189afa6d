package hub

import (
	"context"
	"errors"
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
// before are still delivered by the broker before. What it has accepted by its end and
// not published is published by the broker in force then.
func (b *Broker) use(broker brokers.Broker) {
	if accepting, ok := broker.(brokers.Accepting); ok {
		accepting.PassOn(b.Publish)
	}
	b.inForce.Store(&broker)
}

func (b *Broker) broker() brokers.Broker { return *b.inForce.Load() }

// Publish implements [brokers.Broker]. If the broker has ended meanwhile, it publishes
// at the one that is in force now.
func (b *Broker) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	for {
		broker := b.inForce.Load()
		published, err := (*broker).Publish(ctx, publication)
		if !errors.Is(err, brokers.ErrEnded) || broker == b.inForce.Load() {
			return published, err
		}
	}
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
