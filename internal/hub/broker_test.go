package hub

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

// ending is a broker that is replaced and ends while something is published there.
type ending struct {
	brokers.Broker
	publish brokers.Publish
}

func (e ending) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	return e.publish(ctx, publication)
}

func TestBrokerPublishesAtTheOneInForceWhatComesAfterTheEnd(t *testing.T) {
	var b Broker
	published := 0
	next := ending{publish: func(context.Context, brokers.Publication) (brokers.Published, error) {
		published++
		return brokers.Published{Released: 7}, nil
	}}
	ended := func(context.Context, brokers.Publication) (brokers.Published, error) {
		return brokers.Published{}, brokers.ErrEnded
	}
	b.use(ending{publish: func(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
		b.use(next)
		return ended(ctx, publication)
	}})
	if got, err := b.Publish(t.Context(), brokers.Publication{Channel: "a"}); err != nil || got.Released != 7 || published != 1 {
		t.Errorf("Publish = %+v, %v; the next broker was given %d", got, err, published)
	}
	b.use(ending{publish: ended})
	if _, err := b.Publish(t.Context(), brokers.Publication{Channel: "a"}); !errors.Is(err, brokers.ErrEnded) {
		t.Errorf("when the process ends, Publish = %v", err)
	}
}
