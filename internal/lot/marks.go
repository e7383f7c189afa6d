package lot

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/caddy-parker/parker/brokers"
)

// Mark is a moment, as far as events on some channels are concerned: it changes with
// each of them.
type Mark uint64

// markCount is how many counters the channels share.
const markCount = 4096

// marks counts events, by their channels' hash.
type marks struct {
	counts [markCount]atomic.Uint64
	lost   atomic.Uint64 // those that concern all channels
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

func (m *marks) note(seed maphash.Seed, e *brokers.Event) {
	if e.Lost() {
		m.lost.Add(1)
		return
	}
	m.of(seed, e.Channel).Add(1)
}

func (m *marks) of(seed maphash.Seed, name string) *atomic.Uint64 {
	return &m.counts[maphash.String(seed, name)%markCount]
}
