package replica

import (
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/history"
)

// logCopy is this process's copy of a log. The lock of its replica guards it.
type logCopy struct {
	epoch     string
	offset    uint64 // how far it has been read
	confirmed uint64 // how often the end of the log was reached
	history   *history.History
	seen      map[string]*numbers // by node
}

func (r *replica) newCopy(epoch string) *logCopy {
	c := &logCopy{epoch: epoch, seen: make(map[string]*numbers)}
	c.history = history.New(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		c.history.Sweep()
	})
	c.history.Limit(r.limits)
	return c
}

// named returns the event that was published on a channel with an ID, and reports
// whether there is one.
func (c *logCopy) named(channel, id string) (brokers.Event, bool) {
	if id == "" {
		return brokers.Event{}, false
	}
	return c.history.Named(channel, id)
}

// takeFloor notes the offset up to which entries of a log may be missing. It reports
// whether that offset is beyond what was read.
func (c *logCopy) takeFloor(floor uint64) bool {
	if floor <= c.offset {
		return false
	}
	c.offset = floor
	c.history.Forget(floor)
	return true
}

// taken is how an entry was classified.
type taken uint8

const (
	again     taken = iota // read before
	duplicate              // has the ID of an earlier event
	event                  // a new event
)

// take turns an entry into an event, unless it was read before or is a duplicate. For
// a duplicate it returns the earlier event.
func (c *logCopy) take(e Entry) (brokers.Event, taken) {
	if e.Offset <= c.offset {
		return brokers.Event{}, again
	}
	c.offset = e.Offset
	if e.Node != "" && !c.note(e.Node, e.Number) {
		return brokers.Event{}, again
	}
	if earlier, ok := c.named(e.Channel, e.ID); ok {
		return earlier, duplicate
	}
	came := brokers.Event{
		Channel:  e.Channel,
		Position: c.position(),
		Message:  e.Message,
	}
	c.history.Add(came, e.ID, e.Lifetime)
	return came, event
}

// lifetimeLeft returns the rest of an entry's lifetime, given its age. The result has
// the meaning of [brokers.Publication.Lifetime].
func (r *replica) lifetimeLeft(e Entry) time.Duration {
	age := time.Since(e.Time)
	if e.Time.IsZero() || age < time.Second || e.Lifetime < 0 {
		return e.Lifetime
	}
	lifetime := e.Lifetime
	if lifetime == 0 {
		lifetime = r.limits.MaxAge
	}
	if lifetime <= age {
		return -1
	}
	return lifetime - age
}

// position returns the position of the last entry that was read.
func (c *logCopy) position() brokers.Position {
	return brokers.Position{Epoch: c.epoch, Offset: c.offset}
}

// numbers holds which entries of a node have been read. A node appends its entries in
// order, but if the server fails, entries may arrive twice or late.
type numbers struct {
	first, last uint64
	missing     map[uint64]struct{} // between first and last
	heard       time.Time           // when the last one was read
}

// Limits on what is kept of nodes.
const (
	maxMissing = 10_000        // missing numbers of one node
	nodeAge    = 2 * time.Hour // since its last entry
)

// note records that an entry was read. It reports whether the entry is new.
func (c *logCopy) note(node string, number uint64) bool {
	n := c.seen[node]
	if n == nil {
		c.forgetNodes()
		n = &numbers{first: number, last: number, missing: make(map[uint64]struct{})}
		c.seen[node] = n
	} else if !n.add(number) {
		return false
	}
	n.heard = time.Now()
	return true
}

// forgetNodes forgets the nodes without an entry for nodeAge.
func (c *logCopy) forgetNodes() {
	for node, n := range c.seen {
		if time.Since(n.heard) > nodeAge {
			delete(c.seen, node)
		}
	}
}

// add records that a number was read. It reports whether the number is new, as far as
// that is known.
func (n *numbers) add(number uint64) bool {
	switch {
	case number > n.last:
		n.lack(n.last+1, number)
		n.last = number
	case number < n.first:
		n.lack(number+1, n.first)
		n.first = number
	default:
		if _, missing := n.missing[number]; !missing {
			return false
		}
		delete(n.missing, number)
	}
	return true
}

// lack records that the numbers from from, up to but not including to, are missing.
func (n *numbers) lack(from, to uint64) {
	for ; from < to && len(n.missing) < maxMissing; from++ {
		n.missing[from] = struct{}{}
	}
}

func (n *numbers) has(number uint64) bool {
	_, missing := n.missing[number]
	return number >= n.first && number <= n.last && !missing
}
