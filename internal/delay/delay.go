// Package delay calls back for each of many things the same time after it has begun.
// One timer serves all: most end long before, and each timer that is set may wake the
// thread that waits for the network.
package delay

import (
	"sync"
	"time"
)

// Queue holds what has begun and has not ended, in the order in which it expires.
type Queue struct {
	delay time.Duration

	mu          sync.Mutex // guards all below, and all of each entry
	first, last *Entry
	timer       *time.Timer
	running     bool // the timer is
}

// Entry is one thing's place in a queue. The zero value is in none.
type Entry struct {
	owner          Owner // nil: it is in no queue
	due            time.Time
	previous, next *Entry
}

// Owner is told when its time is over.
type Owner interface {
	// Expired is called on a goroutine of its own, at most once for each [Queue.Begin].
	// It may run while [Queue.End] is called.
	Expired()
}

// New makes a queue of a delay that is more than 0.
func New(delay time.Duration) *Queue { return &Queue{delay: delay} }

// Begin has the owner told when the delay is over, unless [Queue.End] is called before.
// An entry that is in the queue begins anew.
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

// End takes the entry out of the queue, unless it has expired. The timer is left: it
// looks for the next when it rings.
func (q *Queue) End(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.owner != nil {
		q.remove(e)
	}
}

// start has the timer ring. The caller holds mu.
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

// remove takes an entry out. The caller holds mu.
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
