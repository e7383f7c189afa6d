// Package hub joins the broker that carries events and the lot that they
// release. It is what handlers publish through.
package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/mistakes"
	"github.com/caddy-parker/parker/internal/sites"
)

// Hub publishes, and knows who waits.
type Hub struct {
	*Process

	// MaxMessage is how many bytes a message has at most.
	MaxMessage int64

	// MaxChannelsPerClient is on how many channels one client's requests wait.
	MaxChannelsPerClient int

	// Hosts knows for which hosts requests wait on channels that paths name.
	Hosts *sites.Hosts

	// Meetings knows which handlers publish where others wait.
	Meetings *mistakes.Meetings

	own    brokers.Broker // that of the configuration, in force or not
	source metrics.Source // of what is published by request
	logger *zap.Logger
	debug  *zap.Logger // for a line at each event
}

// FromAdmin is the hub for those who publish at the admin endpoint.
func (h Hub) FromAdmin() Hub {
	h.source = metrics.Admin
	return h
}

func (h Hub) brokerName() string {
	return h.own.(caddy.Module).CaddyModule().ID.Name()
}

// Publish makes an event of what came to the hook.
func (h Hub) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	return h.publish(ctx, h.source, publication)
}

// publish makes an event. An error of the broker is logged.
func (h Hub) publish(ctx context.Context, source metrics.Source, publication brokers.Publication) (brokers.Published, error) {
	begin := time.Now()
	published, err := h.Broker.Publish(ctx, publication)
	switch {
	case err != nil:
		h.failed.Warn(h.logger, "publishing failed", fmt.Errorf("on %q: %w", publication.Channel, err))
		return published, err
	case published.Duplicate:
		return published, nil
	case published.Released > 0:
		metrics.Released(time.Since(begin).Seconds())
	}
	metrics.Published(source)
	if line := h.debug.Check(zap.DebugLevel, "published"); line != nil {
		line.Write(zap.String("channel", publication.Channel), zap.String("source", string(source)),
			zap.Bool("message", publication.Message != nil), zap.Stringer("position", published.Position), zap.Int("released", published.Released))
	}
	return published, nil
}

// Wrote publishes that a write was done, without a message.
func (h Hub) Wrote(channels []string) { h.wake(metrics.Write, channels) }

// Announce publishes what a backend's answer announced, without a message. Names
// that are no channel's are left out.
func (h Hub) Announce(channels []string) { h.wake(metrics.Answer, channels) }

func (h Hub) wake(source metrics.Source, channels []string) {
	for _, channel := range channels {
		if err := brokers.CheckChannel(channel); err != nil {
			h.badChannel.Warn(h.logger, "the backend's announcement is not published", err)
			continue
		}
		// What went wrong is logged.
		_, _ = h.publish(context.Background(), source, brokers.Publication{Channel: channel})
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

// Channels lists up to limit channels on which somebody waits, whose names begin
// with the prefix and sort after the name given, in order of name.
func (h Hub) Channels(prefix, after string, limit int) []hook.ChannelWaiting {
	var page []hook.ChannelWaiting
	h.Lot.EachWaiting(func(name string, waiting lot.Waiting) {
		if name <= after || !strings.HasPrefix(name, prefix) || len(page) == limit && name > page[limit-1].Channel {
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
