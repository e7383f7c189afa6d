package poll

import (
	"errors"
	"sync/atomic"
)

// Memory counts what requests hold that are parked, in bytes: their header and body, and
// the answers that they are given if nothing happens. The zero value admits nothing.
type Memory struct{ used, limit atomic.Int64 }

// SetLimit bounds it. What is held already, stays.
func (m *Memory) SetLimit(bytes int64) { m.limit.Store(bytes) }

var errMaxParkedBytes = errors.New("the size of max_parked is reached")

// weigh counts what the poll holds while it is parked. An answer that is shared counts
// once. The error is that there is no room.
func (p *Poll) weigh() error {
	m := p.config.Memory
	weight := p.request.Size()
	if m.used.Add(weight+p.kept.Hold()) > m.limit.Load() {
		m.used.Add(-weight - p.kept.Drop())
		return errMaxParkedBytes
	}
	p.weight, p.weighed = weight, p.kept
	return nil
}

// unweigh gives it back.
func (p *Poll) unweigh() {
	p.config.Memory.used.Add(-p.weight - p.weighed.Drop())
	p.weight, p.weighed = 0, nil
}
