// Package delay calls back for each of many entries, the same time after each was added.
package delay

import (
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/due"
)

// Queue holds entries until they expire.
type Queue struct {
	delay time.Duration

	mu      sync.Mutex // guards entries, and each entry
	entries due.Queue[Owner]
}

// Entry is an entry of a [Queue]. The zero value is in no queue.
type Entry struct{ entry due.Entry[Owner] }

// Owner is called when an entry expires.
type Owner interface {
	// Expired is called in its own goroutine, at most once for each [Queue.Begin]. It
	// may run while [Queue.End] is called.
	Expired()
}

// New returns a queue with the delay, which must be positive.
func New(delay time.Duration) *Queue {
	q := &Queue{delay: delay}
	q.entries = due.New[Owner](time.Now(), 0, q.ring)
	return q
}

// Begin adds the entry to the queue. The owner is called after the delay, unless
// [Queue.End] is called before. For an entry that is already in the queue the delay
// starts again.
func (q *Queue) Begin(e *Entry, owner Owner) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.entry.Value = owner
	q.entries.Set(&e.entry, q.entries.Now()+q.delay)
}

// End removes the entry from the queue, unless it has expired.
func (q *Queue) End(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.entries.Remove(&e.entry)
}

func (q *Queue) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.entries.Now()
	for owner, ok := q.entries.Pop(now); ok; owner, ok = q.entries.Pop(now) {
		go owner.Expired()
	}
}
