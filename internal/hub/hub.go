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
	*Process
	Broker brokers.Broker

	// MaxMessage is how many bytes a message has at most.
	MaxMessage int64

	// MaxChannelsPerClient is on how many channels one client's requests wait.
	MaxChannelsPerClient int

	logger *zap.Logger
}

// Publish makes an event. An error of the broker is logged.
func (h Hub) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	published, err := h.Broker.Publish(ctx, publication)
	if err != nil {
		h.logger.Error("publishing failed", zap.String("channel", publication.Channel), zap.Error(err))
	}
	return published, err
}

// Announce publishes on channels without a message. Names that are no channel's
// come from a backend's answer, and are left out.
func (h Hub) Announce(channels []string) {
	for _, channel := range channels {
		if err := brokers.CheckChannel(channel); err != nil {
			h.badChannel.Warn(h.logger, "the backend's announcement is not published", err)
			continue
		}
		// What went wrong is logged.
		_, _ = h.Publish(context.Background(), brokers.Publication{Channel: channel})
	}
}

// Position is where the broker's events stand.
func (h Hub) Position() brokers.Position { return h.Broker.Position() }

// Newest is the position of the newest event on the channels, as far as that is
// remembered.
func (h Hub) Newest(channels []string) brokers.Position { return h.Broker.Newest(channels) }

// Waiting counts who waits on a channel.
func (h Hub) Waiting(channel string) hook.Waiting {
	return hook.Waiting(h.Lot.Waiting(channel))
}

// Channels lists up to limit channels on which somebody waits and whose names
// sort after the one given, in order of name.
func (h Hub) Channels(after string, limit int) []hook.ChannelWaiting {
	var page []hook.ChannelWaiting
	h.Lot.EachWaiting(func(name string, waiting lot.Waiting) {
		if name <= after || len(page) == limit && name > page[limit-1].Channel {
			return
		}
		at, _ := slices.BinarySearchFunc(page, name, func(c hook.ChannelWaiting, name string) int { return strings.Compare(c.Channel, name) })
		page = slices.Insert(page, at, hook.ChannelWaiting{Channel: name, Waiting: hook.Waiting(waiting)})
		page = page[:min(len(page), limit)]
	})
	return page
}

// Interface guard
var _ hook.Board = Hub{}
