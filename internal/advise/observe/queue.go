package observe

import (
	"sync"
	"time"
)

// queue keeps the exchanges that wait for the analysis.
type queue struct {
	wake  chan struct{} // has an element if many exchanges wait
	timer *time.Timer   // ends a while after the first exchange came

	mutex sync.Mutex
	all   []*exchange
}

func newQueue() queue {
	timer := time.NewTimer(pause)
	timer.Stop()
	return queue{wake: make(chan struct{}, 1), timer: timer}
}

// put adds an exchange. It returns false, and does not wait, if the queue is full.
func (q *queue) put(e *exchange) bool {
	q.mutex.Lock()
	if len(q.all) == maxQueued {
		q.mutex.Unlock()
		return false
	}
	q.all = append(q.all, e)
	length := len(q.all)
	q.mutex.Unlock()
	switch length {
	case 1:
		q.timer.Reset(pause)
	case maxQueued / 4:
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns all exchanges in their order, and empties the queue.
func (q *queue) take() []*exchange {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	all := q.all
	q.all = nil
	return all
}

func (q *queue) len() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.all)
}
