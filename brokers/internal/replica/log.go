package replica

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Log is what a server has to offer: an ordered log of entries that all processes
// append to and read.
//
// All methods are safe for concurrent use. Every one of them but Close returns an
// error soon when its context ends, and when the server does not answer.
type Log interface {
	// Epoch names what the offsets count. Another name says that the log was emptied
	// or is another one. If there is no log yet, it is made.
	Epoch(ctx context.Context) (string, error)

	// Append adds entries, in their order. If it fails, some may have been
	// added all the same. They are given to it again, and readers take them once; but
	// not one that it was given alone and refused with [ErrRefused].
	Append(ctx context.Context, entries []Entry) error

	// Tail reads the log: first what is kept of it behind an offset, then what is
	// added, in order, until the context ends or reading fails. Batches go to receive,
	// one after the other. From 0 on it reads all that is kept.
	//
	// The error is [ErrGap] where not all that followed the offset is kept, and any
	// other where the log is not the one any more that Epoch named.
	Tail(ctx context.Context, after uint64, receive func(Batch)) error

	// Close ends the connections.
	Close()
}

var (
	// ErrGap says that the log has dropped what was to be read.
	ErrGap = errors.New("the log does not go back so far")

	// ErrRefused says that the server will never take an entry, whenever it is given.
	ErrRefused = errors.New("the server refuses the entry")
)

// Batch is what was read at a time.
type Batch struct {
	Entries []Entry

	// Floor is an offset up to which the log may have held entries that it did
	// not keep. It counts in the first batch only, read from 0; else it is 0.
	Floor uint64

	// InStep says that there was nothing more to be read. While nothing is added, a
	// batch without entries says so every second.
	InStep bool
}

// Entry is one event in a log.
type Entry struct {
	// Offset and Time are given by the log: the entry's place there, never 0,
	// and when it was added by the server's clock, or zero if that does not say.
	Offset uint64
	Time   time.Time

	Channel  string
	Message  *brokers.Message
	ID       string
	Lifetime time.Duration // to the millisecond

	// Node names the process that published the entry, and Number counts those that
	// it did. The node is empty, and the number 0, where an application has added the
	// entry by itself.
	Node   string
	Number uint64
}

// Listener is a [Log] by which applications can publish also what is not kept in
// it. That is delivered to those who wait at the moment, and to nobody later.
type Listener interface {
	// Listen calls receive with what applications publish, until the context ends or
	// listening fails.
	Listen(ctx context.Context, receive func(Entry)) error
}
