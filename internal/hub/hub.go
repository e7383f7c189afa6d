// Package hub joins the broker that carries events and the lot that they
// release. It is what handlers publish through.
package hub

import (
	"context"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/lot"
)

// Hub publishes, and knows who waits.
type Hub struct {
	Lot    *lot.Lot
	Broker brokers.Broker
	Logger *zap.Logger
}

// Publish makes an event, with a message or without (nil). It returns where the
// event stands, and how many requests of this process it released. An error of
// the broker is logged.
func (h Hub) Publish(ctx context.Context, channel string, message *brokers.Message) (brokers.Position, int, error) {
	position, released, err := h.Broker.Publish(ctx, channel, message)
	if err != nil {
		h.Logger.Error("publishing failed", zap.String("channel", channel), zap.Error(err))
	}
	return position, released, err
}

// Position is where the broker's events stand.
func (h Hub) Position() brokers.Position { return h.Broker.Position() }

// Waiting counts who waits on a channel.
func (h Hub) Waiting(channel string) hook.Waiting {
	return hook.Waiting{Requests: h.Lot.Waiting(channel)}
}

// Channels lists up to limit channels on which somebody waits and whose names
// sort after the one given, in order of name.
func (h Hub) Channels(after string, limit int) []hook.ChannelWaiting {
	var page []hook.ChannelWaiting
	h.Lot.EachWaiting(func(name string, waiting int) {
		if name <= after || len(page) == limit && name > page[limit-1].Channel {
			return
		}
		at, _ := slices.BinarySearchFunc(page, name, func(c hook.ChannelWaiting, name string) int { return strings.Compare(c.Channel, name) })
		page = slices.Insert(page, at, hook.ChannelWaiting{Channel: name, Waiting: hook.Waiting{Requests: waiting}})
		page = page[:min(len(page), limit)]
	})
	return page
}

// Interface guard
var _ hook.Board = Hub{}
