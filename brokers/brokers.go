// Package brokers says what carries parker's events: a [Broker] takes each
// publish, gives it a [Position] and delivers it to this process. It knows
// nothing of who waits.
//
// A broker is a Caddy guest module in the namespace parker.brokers.
package brokers

import (
	"context"
	"strconv"
)

// Broker carries events between those who publish and the process that parks
// requests. Its state belongs to the process, not to one configuration, so that
// positions go on through a reload.
//
// All methods are safe for concurrent use.
type Broker interface {
	// Publish makes an event on the channel, with a message or without (nil),
	// and returns where it stands. released counts the requests of this
	// process that it let go, as far as is known on return.
	Publish(ctx context.Context, channel string, message *Message) (position Position, released int, err error)

	// Deliver names the receiver of every event from now on. Events arrive one
	// at a time, in the order of their positions. receive returns how many
	// requests it let go; it must not block. A later call replaces the receiver.
	Deliver(receive func(Event) (released int))

	// Position is where events stand now.
	Position() Position
}

// Event is one publish on one channel.
type Event struct {
	Channel  string
	Position Position

	// Message is nil where the publish only wakes those who wait.
	Message *Message
}

// Message is what a publish says to those who wait. It is shared between all
// who get it and never changed.
type Message struct {
	Body        []byte
	ContentType string
}

// Position is where a broker's events stand. Offset counts all events, not one
// channel's, so one position serves any set of channels; Epoch changes when the
// count is lost.
type Position struct {
	Epoch  string
	Offset uint64
}

// String is the position as clients see it, <epoch>-<offset>. They only ever
// hand it back.
func (p Position) String() string {
	return p.Epoch + "-" + strconv.FormatUint(p.Offset, 10)
}
