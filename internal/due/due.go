// Package due calls back for the first of many things that fall due at different times,
// with one timer for all of them: most are removed long before they are due, and setting a
// timer may wake the thread that polls the network.
package due

import (
	"container/heap"
	"math"
	"time"
)

// Queue holds entries by when they are due. It has no lock: its owner's lock guards it and
// its entries. An empty queue has no timer running.
type Queue[T any] struct {
	start   time.Time
	ring    func()
	late    time.Duration
	entries entries[T]
	timer   *time.Timer
	rings   time.Duration // when the timer will fire, or 0
}

// Entry is an entry of a [Queue]. The zero value is in no queue.
type Entry[T any] struct {
	Value T

	due   time.Duration // since the start of the queue
	place int           // in the queue, from 1; 0: in none
}

// New returns an empty queue, whose times are counted from start. When an entry is due, or
// at most late after that, it calls ring in its own goroutine. ring must call [Queue.Pop]
// until that returns false.
func New[T any](start time.Time, late time.Duration, ring func()) Queue[T] {
	return Queue[T]{start: start, ring: ring, late: late}
}

// Now returns the time since the start of the queue.
func (q *Queue[T]) Now() time.Duration { return time.Since(q.start) }

// Set adds the entry, or changes when it is due.
func (q *Queue[T]) Set(e *Entry[T], due time.Duration) {
	e.due = due
	if e.place == 0 {
		heap.Push(&q.entries, e)
	} else {
		heap.Fix(&q.entries, e.place-1)
	}
	q.setTimer()
}

// Remove removes the entry, if it is in the queue. The timer is not stopped: to let it fire
// in vain once is cheaper than to set it again each time.
func (q *Queue[T]) Remove(e *Entry[T]) {
	if e.place > 0 {
		heap.Remove(&q.entries, e.place-1)
	}
}

// Pop removes the first entry that is due now, and returns its value. ok is false if none
// is due.
func (q *Queue[T]) Pop(now time.Duration) (value T, ok bool) {
	if len(q.entries) == 0 || q.entries[0].due > now {
		if q.rings <= now {
			q.rings = 0
			q.setTimer()
		}
		return value, false
	}
	return heap.Pop(&q.entries).(*Entry[T]).Value, true
}

// All yields all entries, in no order. They must not be changed meanwhile.
func (q *Queue[T]) All(yield func(*Entry[T]) bool) {
	for _, e := range q.entries {
		if !yield(e) {
			return
		}
	}
}

// setTimer makes the timer fire when the first entry is due, or a little later, unless it
// fires before.
func (q *Queue[T]) setTimer() {
	if len(q.entries) == 0 {
		return
	}
	rings := Later(max(q.entries[0].due, 1), q.late)
	if q.rings != 0 && q.rings <= rings {
		return
	}
	q.rings = rings
	if wait := rings - q.Now(); q.timer == nil {
		q.timer = time.AfterFunc(wait, q.ring)
	} else {
		q.timer.Reset(wait)
	}
}

// Later returns the sum of both, which must not be negative, or the greatest duration if
// the sum is out of range.
func Later(at, wait time.Duration) time.Duration {
	if wait > math.MaxInt64-at {
		return math.MaxInt64
	}
	return at + wait
}

// entries is a heap in which each entry knows its place.
type entries[T any] []*Entry[T]

func (q entries[T]) Len() int           { return len(q) }
func (q entries[T]) Less(i, j int) bool { return q[i].due < q[j].due }

func (q entries[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

func (q *entries[T]) Push(x any) {
	e := x.(*Entry[T])
	*q = append(*q, e)
	e.place = len(*q)
}

func (q *entries[T]) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.place = 0
	return e
}
