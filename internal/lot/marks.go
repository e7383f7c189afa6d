package lot

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Mark is a moment, as far as events on some channels are concerned: it changes with
// each of them.
type Mark uint64

// markCount is how many counters the channels share.
const markCount = 4096

// Moment is when an event came, since the lot began. Zero: none has.
type Moment int64

// marks counts events, by their channels' hash, and knows when the last came, and the
// last without a message.
type marks struct {
	counts         [markCount]atomic.Uint64
	latest, wakeUp [markCount]atomic.Int64
	lost           atomic.Uint64 // those that concern all channels
}

// Mark is the moment of now. To compare two takes less than a [Waiter]: where they are
// the same, nothing has happened in between. Where they are not, it may have happened
// on another channel, which is so for one event in 4,096.
func (l *Lot) Mark(channels []string) Mark {
	m := l.marks.lost.Load()
	for _, name := range channels {
		m += l.marks.of(l.seed, name).Load()
	}
	return Mark(m)
}

// LatestWakeUp is when the last event came on any of the channels that only wakes a waiter
// of the interest. It may have been on another channel, as for [Lot.Mark].
func (l *Lot) LatestWakeUp(channels []string, interest Interest) (latest Moment) {
	moments := &l.marks.wakeUp
	switch interest {
	case MessagesOnly:
		return 0
	case WakeUps:
		moments = &l.marks.latest
	}
	for _, name := range channels {
		latest = max(latest, Moment(moments[place(l.seed, name)].Load()))
	}
	return latest
}

// Ago is how long ago a moment was.
func (l *Lot) Ago(m Moment) time.Duration { return time.Since(l.start) - time.Duration(m) }

func (m *marks) note(seed maphash.Seed, e *brokers.Event, now Moment) {
	if e.Lost() {
		m.lost.Add(1)
		return
	}
	at := place(seed, e.Channel)
	m.latest[at].Store(int64(now))
	if e.Message == nil {
		m.wakeUp[at].Store(int64(now))
	}
	m.counts[at].Add(1)
}

func (m *marks) of(seed maphash.Seed, name string) *atomic.Uint64 {
	return &m.counts[place(seed, name)]
}

func place(seed maphash.Seed, name string) uint64 { return maphash.String(seed, name) % markCount }
