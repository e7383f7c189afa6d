package limit

import "sync/atomic"

// Memory bounds what parked requests hold, in bytes. The zero value admits nothing.
type Memory struct{ used, limit atomic.Int64 }

// SetLimit sets the limit. What is counted already stays counted.
func (m *Memory) SetLimit(bytes int64) { m.limit.Store(bytes) }

// Add counts some bytes, and reports whether they are within the limit. They count until
// [Memory.Remove] is called, even if they are not.
func (m *Memory) Add(bytes int64) bool { return m.used.Add(bytes) <= m.limit.Load() }

// Remove undoes a call of Add.
func (m *Memory) Remove(bytes int64) { m.used.Add(-bytes) }
