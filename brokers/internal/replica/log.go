package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Log is what a server must provide: an ordered log of entries that all processes
// append to and read.
//
// All methods are safe for concurrent use. All methods except Close return an error
// soon after their context ends or when the server does not answer.
type Log interface {
	// Epoch returns the name of the current count of offsets. A different name means
	// that the log was emptied or replaced. If there is no log yet, Epoch creates it.
	Epoch(ctx context.Context) (string, error)

	// Append adds entries in order. If it fails, some of them may have been added
	// nevertheless. The caller appends them again, and readers ignore the repetition.
	// An entry that was appended alone and failed with [ErrRefused] is not repeated.
	Append(ctx context.Context, entries []Entry) error

	// Tail reads the entries after an offset and then each new one, in order, until the
	// context ends or reading fails. It calls receive with one batch at a time. With
	// offset 0 it starts at the oldest entry that the log holds.
	//
	// The error is [ErrGap] if the log no longer holds all entries after the offset. It
	// is any other error if the log is no longer the one that Epoch named.
	Tail(ctx context.Context, after uint64, receive func(Batch)) error

	// Close ends the connections.
	Close()
}

var (
	// ErrGap is returned if the log has dropped entries that were not read yet.
	ErrGap = errors.New("the log no longer holds the entries to be read")

	// ErrRefused is returned if the server will never accept an entry.
	ErrRefused = errors.New("the server refused the entry")
)

// Batch is the result of one read.
type Batch struct {
	Entries []Entry

	// Floor is the offset up to which the log may have dropped entries. It is set only
	// in the first batch of a read from offset 0, and is 0 otherwise.
	Floor uint64

	// InStep reports that the end of the log was reached. While nothing is added, an
	// empty batch with InStep arrives every second.
	InStep bool
}

// Entry is one event in a log.
type Entry struct {
	// Offset and Time are assigned by the log. Offset is the place of the entry and is
	// never 0. Time is when the entry was added by the server's clock, or zero if it is
	// unknown.
	Offset uint64
	Time   time.Time

	Channel  string
	Message  *brokers.Message
	ID       string
	Lifetime time.Duration // in whole milliseconds

	// Node is the process that published the entry, and Number counts the entries of
	// that process from 1. Node is empty and Number is 0 if an application added the
	// entry directly.
	Node   string
	Number uint64
}

// Listener is a [Log] through which applications can also publish entries that are not
// kept. Such an entry reaches only the requests that wait at that moment.
type Listener interface {
	// Listen calls receive with each such entry until the context ends or listening
	// fails.
	Listen(ctx context.Context, receive func(Entry)) error
}
