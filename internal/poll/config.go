package poll

import (
	"context"
	"crypto/sha256"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/limit"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
)

// Config is what the polls of one handler have in common.
type Config struct {
	Lot    *lot.Lot
	Groups *coalesce.Groups
	Rules  *nothingnew.Rules

	// Broker keeps the history that clients resume from.
	Broker interface {
		Events(ctx context.Context, channels []string, after brokers.Position, limit int) (events []brokers.Event, complete bool, err error)
		Position() brokers.Position
	}

	// Interest says what events are to the polls. Where messages are all that
	// counts the backend is not asked first.
	Interest lot.Interest

	// Asks bounds how many polls are at the backend at once.
	Asks *semaphore.Weighted

	// Slow has what waits for an ask go on when the backend should have begun to answer.
	Slow *delay.Queue

	// MaxBody is how many bytes of an answer are looked at, MaxEvent how many
	// there may be in one that becomes an event on a stream.
	MaxBody, MaxEvent int64

	// Patience is for how long an answer is looked at.
	Patience Patience

	// Share says on what requests must agree to share an answer. If it is public,
	// Set-Cookie is not shared.
	Share coalesce.Rule

	// Spread is over how long the requests of a channel are released.
	Spread time.Duration

	// TimeoutStatus is the status of an answer at the timeout, or 0 for the
	// backend's own.
	TimeoutStatus int

	// Memory bounds what parked polls hold.
	Memory *Memory

	// PerClient bounds how many polls of one client are parked, counted in
	// Clients. 0: no limit.
	PerClient int
	Clients   *limit.Counter

	// PerBrowser bounds how many polls of one browser are parked on one path over
	// HTTP/1.1, counted in Browsers. 0: no limit.
	PerBrowser int
	Browsers   *Browsers

	// MaxChannels bounds on how many channels polls of one client are parked,
	// counted in Channels.
	MaxChannels int
	Channels    *limit.Spread

	// Newest holds the waiter of the newest poll of each supersede key.
	Newest *Newest

	// Announce publishes on the channels that an answer named in its
	// Parker-Publish field.
	Announce func(channels []string)

	// Stopping is over when the server is about to stop.
	Stopping context.Context

	// Streams says how events are streamed.
	Streams *Streams

	// Metrics counts what becomes of the polls.
	Metrics *metrics.Handler

	// Logger is for a line at each step of a poll.
	Logger *zap.Logger

	// Personal warns of answers that the backend marks as one client's, and that
	// others are given.
	Personal logging.Rarely
}

// Newest holds the waiter of the newest poll of each supersede key.
type Newest = limit.Newest[Key, *lot.Waiter]

// SlowAfter is when an ask without the header of an answer no longer keeps others from
// asking.
const SlowAfter = 5 * time.Second

// Key is a digest of what makes a newer poll take an older one's place.
type Key [sha256.Size]byte
