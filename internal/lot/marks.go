package lot

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Mark changes with each event on some channels.
type Mark uint64

// markCount is the number of counters that all channels share.
const markCount = 4096

// Moment is when an event came, since the start of the lot. 0: none has come.
type Moment int64

// marks counts events by the hash of their channels, and remembers when the last one came,
// and the last one without a message.
type marks struct {
	counts         [markCount]atomic.Uint64
	latest, wakeUp [markCount]atomic.Int64
	lost           atomic.Uint64 // events that concern all channels
}

// Mark returns the present mark of some channels. If two marks are equal, there was no event
// between them. If not, the event may have been on another channel: one event in 4,096 is.
func (l *Lot) Mark(channels []string) Mark {
	m := l.marks.lost.Load()
	for _, name := range channels {
		m += l.marks.of(l.seed, name).Load()
	}
	return Mark(m)
}

// LatestWakeUp returns when the last event came on the channels that is a wake-up for a
// waiter with the interest. It may have been on another channel, as for [Lot.Mark].
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

// Ago returns how long ago a moment was.
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
