package brokertest

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Client listens on channels, at one process at a time. When it changes to another
// process, it takes only its position along. It is used by a single goroutine.
type Client struct {
	channels []string
	position brokers.Position

	at       *Member
	queue    []brokers.Event // live events that it has not looked at yet; at.mu guards it
	caughtUp bool            // it has read the history of this process

	heard   []string
	woken   map[string]time.Time // when it last received a wake-up, by channel
	started time.Time
	reset   time.Time // when it was last told that events may be lost
	wrongly int       // how often it was told so although none were lost
}

// Listen returns a client that listens from the last event on.
func Listen(m *Member, channels ...string) *Client {
	c := &Client{channels: channels, woken: make(map[string]time.Time)}
	c.Hop(m)
	c.position, c.started = m.Position(), time.Now()
	return c
}

// Hop moves the client to another process, or to the same one again. It drops the live
// events that the client has not looked at.
func (c *Client) Hop(m *Member) {
	if c.at != nil {
		c.at.mu.Lock()
		delete(c.at.clients, c)
		c.at.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.at, c.queue, c.caughtUp = m, nil, false
	if m.clients == nil {
		m.clients = make(map[*Client]struct{})
	}
	m.clients[c] = struct{}{}
}

// Return sets the client back to an earlier position.
func (c *Client) Return(to brokers.Position) { c.position = to }

// At returns the process where the client listens.
func (c *Client) At() *Member { return c.at }

// Position returns the position up to which the client knows all events.
func (c *Client) Position() brokers.Position { return c.position }

// Heard returns the texts of the messages that the client received.
func (c *Client) Heard() []string { return c.heard }

// Woken returns when the client last received a wake-up on a channel, or zero.
func (c *Client) Woken(channel string) time.Time { return c.woken[channel] }

// Misled returns how often the client was told that events may be lost, although the
// process could know that none were.
func (c *Client) Misled() int { return c.wrongly }

// Read reads one page of the history. It reports whether that was the last page.
func (c *Client) Read(ctx context.Context, limit int) (caughtUp bool) {
	at, away := c.at.Position(), !c.at.Health().Reachable
	events, complete, err := c.at.Events(ctx, c.channels, c.position, limit)
	if err != nil {
		return false
	}
	if !complete {
		// While the server is unreachable, a process may not know the position of a
		// client from another process.
		away = away || !c.at.Health().Reachable
		if !away || at.Merge(c.position) == at {
			c.wrongly++
		}
		c.Take(0)
		c.lose(c.at.Position())
		return true
	}
	for _, e := range events {
		c.hear(e)
		c.position = e.Position
	}
	c.caughtUp = len(messages(events)) < limit
	return c.caughtUp
}

// Take looks at up to n live events. If n is 0 it drops all of them.
func (c *Client) Take(n int) {
	c.at.mu.Lock()
	taken := c.queue[:min(n, len(c.queue))]
	c.queue = slices.Clone(c.queue[len(taken):])
	if n == 0 {
		c.queue = nil
	}
	c.at.mu.Unlock()
	for _, e := range taken {
		switch {
		case e.Lost():
			c.wrongly++
			c.lose(e.Position)
		case !c.position.Covers(e):
			c.hear(e)
			c.position = c.position.Merge(e.Position)
		}
	}
}

// lose has the client start again from a position.
func (c *Client) lose(at brokers.Position) {
	c.position, c.caughtUp, c.reset = at, true, time.Now()
}

func (c *Client) hear(e brokers.Event) {
	if e.Message == nil {
		c.woken[e.Channel] = time.Now()
	} else {
		c.heard = append(c.heard, Text(e))
	}
}

// Step does one random step: it hops, reads a page or takes live events.
func (c *Client) Step(ctx context.Context, random *rand.Rand, members []*Member) {
	switch {
	case random.IntN(4) == 0:
		c.Hop(members[random.IntN(len(members))])
	case !c.caughtUp:
		c.Read(ctx, 1+random.IntN(4))
	default:
		c.Take(1 + random.IntN(6))
	}
}

// Finish has the client receive all remaining events at a process.
func (c *Client) Finish(ctx context.Context, m *Member) {
	for c.Hop(m); !c.Read(ctx, 3) && ctx.Err() == nil; {
	}
	c.Take(1 << 30)
}
