// Package brokers defines what carries parker's events: a [Broker] accepts
// publications, gives each event a [Position], delivers it to this process and
// keeps it for a while. It does not know which requests wait.
//
// A broker is a Caddy guest module in the namespace parker.brokers.
package brokers

import (
	"context"
	"errors"
	"time"
)

// Broker carries events from publishers to the processes that park requests. Its
// state belongs to the process, not to one configuration, so positions and history
// survive a reload.
//
// All methods are safe for concurrent use.
type Broker interface {
	// Start applies a configuration: the history is kept within its limits, and
	// receive is called with every event from now on, once and one at a time. Events
	// of one channel arrive in the same order at every process. A later call replaces
	// this one.
	Start(history History, receive Receive)

	// Publish creates an event and returns its position. By then this process has
	// received the event and has run the function that Receive returned. Publish does
	// not wait for later events. While the broker's server is unreachable, it accepts
	// the publication as described at [Published]. It may fail with [ErrEnded].
	Publish(ctx context.Context, publication Publication) (Published, error)

	// Events returns the remembered events on the channels that the position does not
	// cover, oldest first, with at most limit messages. Events without a message may be
	// reduced to the last one on each channel. The position of each returned event
	// covers that event and everything that the given position covers. If a publication
	// on one of the channels was accepted but is not an event yet, the last returned
	// event is an uncounted one without a message.
	//
	// complete is false if events after the position were forgotten, or if the position
	// is not one of this broker's. It is then unknown what is missing.
	Events(ctx context.Context, channels []string, after Position, limit int) (events []Event, complete bool, err error)

	// Position returns the position of the last event.
	Position() Position

	// Newest returns the position of the newest event on any of the channels. If that
	// event is forgotten, it returns a later position, which may change without an
	// event.
	Newest(channels []string) Position

	// Health returns the state of the broker.
	Health() Health
}

// ErrEnded is returned by Publish if no configuration uses the broker any more.
var ErrEnded = errors.New("no configuration uses the broker any more")

// Accepting is a [Broker] that can end before it has published everything that it has
// accepted.
type Accepting interface {
	// PassOn sets how it publishes the rest when no configuration uses it any more.
	PassOn(publish Publish)
}

// Publish publishes an event, as the method of [Broker] does.
type Publish func(ctx context.Context, publication Publication) (Published, error)

// Receive handles an event and returns how many requests it released. It must not
// block, so it must not publish. The function rest, if not nil, holds the remaining
// work. It runs while further events are received.
type Receive func(Event) (released int, rest func())

// Health is the state of a broker as one process sees it.
type Health struct {
	// Reachable reports whether events reach the other processes and arrive from
	// them. It is always true for a broker without a server.
	Reachable bool

	// Lag is the time since this process was last known to have received every event.
	Lag time.Duration

	// Waiting is the number of events that were published here and not yet sent to the
	// server.
	Waiting int

	// HistoryBytes is the size of the history in this process, in bytes.
	HistoryBytes int64
}

// History limits which events are kept.
type History struct {
	// Events is the number of events with a message that are kept per channel.
	Events int

	// MaxAge is how long an event is kept if its publisher gives no lifetime.
	MaxAge time.Duration

	// MaxBytes is the most memory that the events of all channels may use together,
	// including their messages. Beyond it the oldest events are forgotten first.
	MaxBytes int64
}

// Publication is a request to publish an event.
type Publication struct {
	Channel string

	// Message is nil if the event only wakes waiting requests.
	Message *Message

	// ID is the publisher's own name for the event, or empty. While the channel
	// remembers an event with this ID, a second publication with it is a duplicate
	// and creates no event.
	ID string

	// Lifetime is how long the event is remembered. 0 means the history's MaxAge. If
	// it is negative, the event is not remembered.
	Lifetime time.Duration
}

// Published is the result of a [Publication].
type Published struct {
	// Position is the event's position, or zero if the server is unreachable.
	Position Position

	// Released is the number of requests of this process that the event is known to
	// have released.
	Released int

	// Duplicate reports that nothing was published. Position is that of the earlier
	// event with the same ID.
	Duplicate bool

	// Unreachable reports that the broker's server could not be reached. All
	// processes, including this one, receive the event once the server is back, unless
	// this process ends before. If another broker comes into force before, the event is
	// published there. Meanwhile, an event without a message wakes the
	// requests of this process that wait on the channel.
	Unreachable bool
}

// Event is one publish on one channel.
type Event struct {
	Channel string

	// Position covers the event and everything that this process received before it.
	Position Position

	// Uncounted reports that the event has no offset of its own. No position covers
	// it. Position is that of the last counted event.
	Uncounted bool

	// Message is nil if the event only wakes waiting requests.
	Message *Message
}

// Lost reports whether e stands for events that did not arrive. Their channels are
// unknown, so Channel is empty.
func (e Event) Lost() bool { return e.Channel == "" }

// Message is the content of an event. All receivers share it, so it must not be
// changed.
type Message struct {
	Body        []byte
	ContentType string

	// Type is the type of the event on a stream. Empty means `message` (WHATWG HTML,
	// section 9.2).
	Type string
}
