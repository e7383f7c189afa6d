// Package brokers says what carries parker's events: a [Broker] takes each
// publish, gives it a [Position], delivers it to this process and remembers it
// for a while. It knows nothing of who waits.
//
// A broker is a Caddy guest module in the namespace parker.brokers.
package brokers

import (
	"context"
	"time"
)

// Broker carries events between those who publish and the process that parks
// requests. Its state belongs to the process, not to one configuration, so that
// positions and history go on through a reload.
//
// All methods are safe for concurrent use.
type Broker interface {
	// Start puts a configuration in force: history is kept within its limits, and
	// every event goes to receive from now on, once and one at a time. Those of a
	// channel arrive in the same order at every process. A later call takes the place
	// of this one.
	Start(history History, receive Receive)

	// Publish makes an event and returns where it stands. This process has received
	// it by then, and done what Receive left to do; it has not waited for events that
	// came later. While the broker's server is away it accepts the publication, as
	// [Published] says.
	Publish(ctx context.Context, publication Publication) (Published, error)

	// Events are those on the channels that a position does not cover, as far as
	// they are remembered: oldest first, and no more than limit that have a message.
	// Of events without one, the last on each channel may stand for all of them.
	// Each has the position that covers it and what the given one does. Where something
	// is accepted on one of the channels that is no event yet, the last is an uncounted
	// one without a message.
	//
	// Not complete means that something after the position is forgotten, or that
	// the position is none of this broker's: what is missing, nobody knows.
	Events(ctx context.Context, channels []string, after Position, limit int) (events []Event, complete bool, err error)

	// Position is where events stand now.
	Position() Position

	// Newest is the position of the newest event on any of the channels. Where
	// that is forgotten it is a later one, which may change without an event.
	Newest(channels []string) Position

	// Health tells how the broker fares.
	Health() Health
}

// Receive takes an event, and returns how many requests that let go. It must not block,
// and so not publish. What it leaves to do, if that is not nil, is done while further
// events are received.
type Receive func(Event) (released int, rest func())

// Health is how a broker fares, as one process sees it.
type Health struct {
	// Reachable is whether events reach the other processes and come from them. That
	// of a broker without a server always is.
	Reachable bool

	// Lag is how long ago this process was last known to have received all there
	// is.
	Lag time.Duration

	// Waiting counts the events that were published here and wait for the server.
	Waiting int

	// HistoryBytes is how much memory the history takes in this process.
	HistoryBytes int64
}

// History bounds what is remembered.
type History struct {
	// Events is how many events with a message are kept per channel.
	Events int

	// MaxAge is how long an event is kept if its publisher does not say.
	MaxAge time.Duration

	// MaxBytes is how much memory the events of all channels may take together,
	// their messages and all else. Past it the oldest are forgotten first.
	MaxBytes int64
}

// Publication is what a publisher asks for.
type Publication struct {
	Channel string

	// Message is nil where those who wait are only to be woken.
	Message *Message

	// ID is the publisher's own name for the event, or empty. What is published
	// again with the ID of an event that the channel remembers, is no event.
	ID string

	// Lifetime is how long the event is remembered: 0 stands for the history's
	// own, and if it is negative the event is not remembered at all.
	Lifetime time.Duration
}

// Published is what came of a [Publication].
type Published struct {
	// Position is the event's, or zero where the server is unreachable.
	Position Position

	// Released counts the requests of this process that the event let go, as far
	// as is known.
	Released int

	// Duplicate says that nothing was published: Position is the earlier event's.
	Duplicate bool

	// Unreachable says that the broker's server is away. All processes, this one too,
	// receive the event once it is back, unless this process ends before. Until then
	// the requests of this process that wait on the channel are woken, by an event
	// without the message.
	Unreachable bool
}

// Event is one publish on one channel.
type Event struct {
	Channel string

	// Position covers the event and all that its process received before.
	Position Position

	// Uncounted says that the event has no place in the broker's count: no position
	// covers it, and Position is where events stood.
	Uncounted bool

	// Message is nil where the publish only wakes those who wait.
	Message *Message
}

// Lost tells whether this is no publish: it says that some events did not arrive,
// on which channels nobody knows. It has no channel.
func (e Event) Lost() bool { return e.Channel == "" }

// Message is what a publish says to those who wait. It is shared between all
// who get it and never changed.
type Message struct {
	Body        []byte
	ContentType string

	// Type is the type of the event on a stream; empty stands for `message`.
	// WHATWG HTML, section 9.2.
	Type string
}
