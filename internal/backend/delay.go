package backend

import (
	"sync"
	"time"
)

// Delay runs out for each answer the same time after its header. One timer serves
// all: most answers end long before, and each timer that is set may wake the thread
// that waits for the network.
type Delay struct {
	time time.Duration

	mu          sync.Mutex // guards all below, and the place of each capture in the list
	first, last *capture   // in the order in which they run out
	timer       *time.Timer
	running     bool // the timer is
}

// NewDelay is a delay of a time that is more than 0.
func NewDelay(d time.Duration) *Delay { return &Delay{time: d} }

// begin has the capture run out of patience after the delay.
func (d *Delay) begin(c *capture) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.due = time.Now().Add(d.time)
	c.previous = d.last
	if d.last == nil {
		d.first = c
	} else {
		d.last.next = c
	}
	d.last = c
	if !d.running {
		d.start(d.time)
	}
}

// end lets the capture go, unless it has run out of patience already. The timer is
// left: it looks for the next when it rings.
func (d *Delay) end(c *capture) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.due.IsZero() {
		d.remove(c)
	}
}

// start has the timer ring. The caller holds mu.
func (d *Delay) start(after time.Duration) {
	d.running = true
	if d.timer == nil {
		d.timer = time.AfterFunc(after, d.ring)
	} else {
		d.timer.Reset(after)
	}
}

func (d *Delay) ring() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = false
	for now := time.Now(); d.first != nil; {
		c := d.first
		if left := c.due.Sub(now); left > 0 {
			d.start(left)
			return
		}
		d.remove(c)
		go c.outOfPatience() // it may have to wait for a client
	}
}

// remove takes a capture out of the list. The caller holds mu.
func (d *Delay) remove(c *capture) {
	if c.previous == nil {
		d.first = c.next
	} else {
		c.previous.next = c.next
	}
	if c.next == nil {
		d.last = c.previous
	} else {
		c.next.previous = c.previous
	}
	c.previous, c.next, c.due = nil, nil, time.Time{}
}
