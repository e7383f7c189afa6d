package replica

import (
	"cmp"
	"errors"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/delivery"
)

// outbox holds the entries that this process has published and not yet read back from
// the log, ordered by number. The lock of its replica guards it.
type outbox struct {
	entries []*own
	wakeUps map[string]*own // the last one without an ID on each channel
	bytes   int64
	number  uint64        // the last one assigned
	filled  chan struct{} // has a value when there are entries to send
}

// own is an entry of this process.
type own struct {
	Entry
	sent  bool // sent in this session; the next session sends it again
	tried bool // sent at least once, so it may be in the log

	// The outcome, valid once done is closed.
	done     chan struct{}
	result   brokers.Published
	delivery *delivery.Delivery // counts the released requests; nil if none
	err      error
}

// Limits of the outbox.
const (
	maxWaiting      = 10_000     // messages
	maxWaitingBytes = 64_000_000 // of messages
	maxWakeUps      = 100_000    // channels with a wake-up
)

// errFull is returned to publishers while the outbox is full.
var errFull = errors.New("the broker is unreachable and the queue of unsent events is full")

// add appends an entry. stands is true if an accepted wake-up that is not in the log yet
// stands for this one, which is then not added. So repeated writes on the same channels
// do not fill the outbox while the server is unreachable.
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

// wakes reports whether e is a wake-up without an ID, which another one on its channel
// can stand for.
func (e *own) wakes() bool { return e.Message == nil && e.ID == "" }

func (e *own) size() int64 {
	if e.Message == nil {
		return 0
	}
	return int64(len(e.Message.Body))
}

// take removes and returns the entry with a number, or returns nil.
func (o *outbox) take(number uint64) *own {
	at, found := slices.BinarySearchFunc(o.entries, number, func(e *own, number uint64) int { return cmp.Compare(e.Number, number) })
	if !found {
		return nil
	}
	e := o.entries[at]
	if at == 0 {
		// Entries usually return in order, which needs no copying.
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

// named returns the unsent entry on a channel with an ID, or nil.
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

// Limits of one batch.
const (
	batchEntries = 256
	batchBytes   = 4_000_000
)

// batch returns the entries to send next and marks them as sent. The first entry is
// included whatever its size. If alone is set, the batch has only that entry, so that a
// refusal can be attributed to it.
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

// fill wakes the sender.
func (o *outbox) fill() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// finish reports the outcome of an entry to its publisher, unless the entry was accepted
// before.
func (e *own) finish(result brokers.Published, under *delivery.Delivery, err error) {
	if !e.result.Unreachable {
		e.result, e.delivery, e.err = result, under, err
		close(e.done)
	}
}
