// Package delay calls back for each of many entries, the same time after each was
// added. All entries share one timer: most are removed long before they expire, and
// setting a timer may wake the thread that polls the network.
package delay

import (
	"sync"
	"time"
)

// Queue holds entries in the order in which they expire.
type Queue struct {
	delay time.Duration

	mu          sync.Mutex // guards all below, and all of each entry
	first, last *Entry
	timer       *time.Timer
	running     bool // the timer is set
}

// Entry is an entry of a [Queue]. The zero value is in no queue.
type Entry struct {
	owner          Owner // nil if the entry is in no queue
	due            time.Time
	previous, next *Entry
}

// Owner is called when an entry expires.
type Owner interface {
	// Expired is called in its own goroutine, at most once for each [Queue.Begin]. It
	// may run while [Queue.End] is called.
	Expired()
}

// New returns a queue with the delay, which must be positive.
func New(delay time.Duration) *Queue { return &Queue{delay: delay} }

// Begin adds the entry to the queue. The owner is called after the delay, unless
// [Queue.End] is called before. For an entry that is already in the queue the delay
// starts again.
func (q *Queue) Begin(e *Entry, owner Owner) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.owner != nil {
		q.remove(e)
	}
	e.owner, e.due = owner, time.Now().Add(q.delay)
	e.previous = q.last
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
	if !q.running {
		q.start(q.delay)
	}
}

// End removes the entry from the queue, unless it has expired. The timer is not
// stopped: when it fires, it is set for the next entry.
func (q *Queue) End(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.owner != nil {
		q.remove(e)
	}
}

// start sets the timer. The caller holds mu.
func (q *Queue) start(after time.Duration) {
	q.running = true
	if q.timer == nil {
		q.timer = time.AfterFunc(after, q.ring)
	} else {
		q.timer.Reset(after)
	}
}

func (q *Queue) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = false
	for now := time.Now(); q.first != nil; {
		e := q.first
		if left := e.due.Sub(now); left > 0 {
			q.start(left)
			return
		}
		owner := e.owner
		q.remove(e)
		go owner.Expired()
	}
}

// remove removes an entry. The caller holds mu.
func (q *Queue) remove(e *Entry) {
	if e.previous == nil {
		q.first = e.next
	} else {
		e.previous.next = e.next
	}
	if e.next == nil {
		q.last = e.previous
	} else {
		e.next.previous = e.previous
	}
	*e = Entry{}
}
