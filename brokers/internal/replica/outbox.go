package replica

import (
	"cmp"
	"errors"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/delivery"
)

// outbox holds what this process has published and has not read from the log yet,
// in the order of its numbers. The replica that it belongs to guards it.
type outbox struct {
	entries []*own
	wakeUps map[string]*own // the last on each channel, but for those with an ID
	bytes   int64
	number  uint64        // the last that was given
	filled  chan struct{} // has a value when there is something to be sent
}

// own is an entry of this process.
type own struct {
	Entry
	sent  bool // it is on its way to the log, or was added; another session sends it again
	tried bool // it was on its way once, and may be in the log

	// What came of it, once done is closed.
	done     chan struct{}
	result   brokers.Published
	delivery *delivery.Delivery // counts those that it released; nil: none
	err      error
}

// How much may wait for the server.
const (
	maxWaiting      = 10_000     // messages
	maxWaitingBytes = 64_000_000 // of messages
	maxWakeUps      = 100_000    // channels with a wake-up
)

// errFull is what publishers get when no more may wait.
var errFull = errors.New("the broker's server is away, and too much waits for it")

// add lines an entry up. It reports whether a wake-up that was accepted, and is not in
// the log yet, stands for this one: so however many come on a channel, a process that
// watches writes loses none.
func (o *outbox) add(e *own) (stands bool, err error) {
	if e.wakes() {
		if earlier := o.wakeUps[e.Channel]; earlier != nil && earlier.result.Unreachable && !earlier.tried {
			return true, nil
		}
		if len(o.entries) >= maxWaiting+maxWakeUps {
			return false, errFull
		}
		o.wakeUps[e.Channel] = e
	} else if len(o.entries) >= maxWaiting || o.bytes+e.size() > maxWaitingBytes {
		return false, errFull
	}
	o.number++
	e.Number = o.number
	o.entries = append(o.entries, e)
	o.bytes += e.size()
	return false, nil
}

// wakes reports whether another entry like this one on its channel can stand for it.
func (e *own) wakes() bool { return e.Message == nil && e.ID == "" }

func (e *own) size() int64 {
	if e.Message == nil {
		return 0
	}
	return int64(len(e.Message.Body))
}

// take takes out the entry with a number, or returns nil.
func (o *outbox) take(number uint64) *own {
	at, found := slices.BinarySearchFunc(o.entries, number, func(e *own, number uint64) int { return cmp.Compare(e.Number, number) })
	if !found {
		return nil
	}
	e := o.entries[at]
	if at == 0 {
		// Mostly they come back in their order; nothing is moved for it.
		o.entries[0] = nil
		o.entries = o.entries[1:]
	} else {
		o.entries = slices.Delete(o.entries, at, at+1)
	}
	o.bytes -= e.size()
	if o.wakeUps[e.Channel] == e {
		delete(o.wakeUps, e.Channel)
	}
	return e
}

// named is the entry that waits on a channel with an ID, or nil.
func (o *outbox) named(channel, id string) *own {
	if id == "" {
		return nil
	}
	at := slices.IndexFunc(o.entries, func(e *own) bool { return e.ID == id && e.Channel == channel })
	if at < 0 {
		return nil
	}
	return o.entries[at]
}

// What is sent at a time.
const (
	batchEntries = 256
	batchBytes   = 4_000_000
)

// batch is what is to be sent next. A first entry is sent whatever its
// size, and alone if it is to be known whether the server refuses that one.
func (o *outbox) batch(alone bool) (batch []*own) {
	bytes := int64(0)
	for _, e := range o.entries {
		if e.sent {
			continue
		}
		if len(batch) > 0 && (alone || len(batch) == batchEntries || bytes+e.size() > batchBytes) {
			break
		}
		batch = append(batch, e)
		e.sent, e.tried = true, true
		bytes += e.size()
	}
	return batch
}

// fill tells the sender that there is something to be sent.
func (o *outbox) fill() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// finish tells the publisher what came of an entry, unless it was accepted before.
func (e *own) finish(result brokers.Published, under *delivery.Delivery, err error) {
	if !e.result.Unreachable {
		e.result, e.delivery, e.err = result, under, err
		close(e.done)
	}
}
