package replica

import (
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/history"
)

// logCopy is what is known of a log. The replica that it belongs to guards it.
type logCopy struct {
	epoch     string
	offset    uint64 // how far it has been read
	confirmed uint64 // how often it was found to hold no more
	history   *history.History
	seen      map[string]*numbers // of the entries of each node
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

// named is the event that was published on a channel with an ID, if there was one.
func (c *logCopy) named(channel, id string) (brokers.Event, bool) {
	if id == "" {
		return brokers.Event{}, false
	}
	return c.history.Named(channel, id)
}

// takeFloor notes up to where a log that is read from its beginning is unknown. It
// reports whether that is more than before.
func (c *logCopy) takeFloor(floor uint64) bool {
	if floor <= c.offset {
		return false
	}
	c.offset = floor
	c.history.Forget(floor)
	return true
}

// taken is what an entry turned out to be.
type taken uint8

const (
	again     taken = iota // one that was read before
	duplicate              // one with the ID of an earlier event
	event                  // an event
)

// take makes an entry an event, unless it was one before.
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

// lifetimeLeft is for how long an entry that is read only now is to be remembered
// yet, as [brokers.Publication] has it.
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

// position is where events stand.
func (c *logCopy) position() brokers.Position {
	return brokers.Position{Epoch: c.epoch, Offset: c.offset}
}

// numbers are those of a node's entries that have been read. A node appends its
// entries in order, but where the server fails it they may come twice, and late.
type numbers struct {
	first, last uint64
	missing     map[uint64]struct{} // between first and last
	heard       time.Time           // when the last came
}

// Bounds on what is kept of nodes.
const (
	maxMissing = 10_000        // of one node
	nodeAge    = 2 * time.Hour // without an entry
)

// note tells whether an entry has not been read before.
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

// forgetNodes forgets those that have ended long ago.
func (c *logCopy) forgetNodes() {
	for node, n := range c.seen {
		if time.Since(n.heard) > nodeAge {
			delete(c.seen, node)
		}
	}
}

// add tells whether a number was missing, as far as that is known.
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

// lack notes that the numbers from one up to below another are missing.
func (n *numbers) lack(from, to uint64) {
	for ; from < to && len(n.missing) < maxMissing; from++ {
		n.missing[from] = struct{}{}
	}
}

func (n *numbers) has(number uint64) bool {
	_, missing := n.missing[number]
	return number >= n.first && number <= n.last && !missing
}
