// Package hub connects the broker, which carries events, with the lot, from which
// events release requests. Handlers publish through it.
package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/mistakes"
	"github.com/caddy-parker/parker/internal/sites"
)

// Hub publishes events and reports waiting requests. Each configuration has its own.
type Hub struct {
	*Process

	// MaxMessage is the maximum size of a message in bytes.
	MaxMessage int64

	// MaxChannelsPerClient is the maximum number of different channels on which the
	// requests of one client wait.
	MaxChannelsPerClient int

	// Hosts finds hosts whose requests wait on the same channel, which is named by the
	// path.
	Hosts *sites.Hosts

	// Meetings finds handlers that publish on channels on which no handler waits.
	Meetings *mistakes.Meetings

	own    brokers.Broker // the broker of the configuration, in force or not
	source metrics.Source // the source of events that Publish publishes
	logger *zap.Logger
	debug  *zap.Logger // for debug lines about each event
}

// FromAdmin returns a hub that counts its events as published at the admin API.
func (h Hub) FromAdmin() Hub {
	h.source = metrics.Admin
	return h
}

func (h Hub) brokerName() string {
	return h.own.(caddy.Module).CaddyModule().ID.Name()
}

// Publish publishes an event, as the hook does.
func (h Hub) Publish(ctx context.Context, publication brokers.Publication) (brokers.Published, error) {
	return h.publish(ctx, h.source, publication)
}

// publish publishes an event and counts it. It logs an error of the broker.
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

// Wrote publishes an event without a message on the channels of a write that succeeded.
func (h Hub) Wrote(channels []string) { h.wake(metrics.Write, channels) }

// Announce publishes an event without a message on the channels that a backend's answer
// named in its Parker-Publish field. Invalid names are skipped.
func (h Hub) Announce(channels []string) { h.wake(metrics.Answer, channels) }

func (h Hub) wake(source metrics.Source, channels []string) {
	for _, channel := range channels {
		if err := brokers.CheckChannel(channel); err != nil {
			h.badChannel.Warn(h.logger, "skipped invalid channel in Parker-Publish", err)
			continue
		}
		// publish has logged the error.
		_, _ = h.publish(context.Background(), source, brokers.Publication{Channel: channel})
	}
}

// Position returns the position of the newest event.
func (h Hub) Position() brokers.Position { return h.Broker.Position() }

// Newest returns the position of the newest event on the channels, as far as the
// broker remembers it.
func (h Hub) Newest(channels []string) brokers.Position { return h.Broker.Newest(channels) }

// Waiting counts the waiting requests and streams of a channel.
func (h Hub) Waiting(channel string) lot.Waiting { return h.Lot.Waiting(channel) }

// WaitingAfter returns a page of the channels with waiting requests: see
// [lot.Lot.WaitingAfter].
func (h Hub) WaitingAfter(prefix, after string, limit int) []lot.ChannelWaiting {
	return h.Lot.WaitingAfter(prefix, after, limit)
}
