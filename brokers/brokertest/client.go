package brokertest

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Client is somebody who listens on channels, at one process at a time. From one to
// the next it takes nothing but its position. It is used by one goroutine.
type Client struct {
	channels []string
	position brokers.Position

	at       *Member
	queue    []brokers.Event // what came live and was not looked at yet; at.mu guards it
	caughtUp bool            // it has read the history since it came

	heard   []string
	woken   map[string]time.Time // when it last heard of a wake-up on a channel
	started time.Time
	reset   time.Time // when it was last told that something may be lost
	wrongly int       // how often, though nothing was
}

// Listen begins where events stand now.
func Listen(m *Member, channels ...string) *Client {
	c := &Client{channels: channels, woken: make(map[string]time.Time)}
	c.Hop(m)
	c.position, c.started = m.Position(), time.Now()
	return c
}

// Hop leaves its process and comes to another one, or to the same again. What it has
// not looked at it will never see there.
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

// Return has the client forget all behind a position.
func (c *Client) Return(to brokers.Position) { c.position = to }

// At is the process where the client is.
func (c *Client) At() *Member { return c.at }

// Position is up to where the client knows everything.
func (c *Client) Position() brokers.Position { return c.position }

// Heard is what messages it has got.
func (c *Client) Heard() []string { return c.heard }

// Woken is when it last heard of a wake-up on a channel, or zero.
func (c *Client) Woken(channel string) time.Time { return c.woken[channel] }

// Misled counts how often it was told that something may be lost, though it could be
// known that nothing was.
func (c *Client) Misled() int { return c.wrongly }

// Read reads one page of the history, and tells whether there is no more.
func (c *Client) Read(ctx context.Context, limit int) (caughtUp bool) {
	at, away := c.at.Position(), !c.at.Health().Reachable
	events, complete, err := c.at.Events(ctx, c.channels, c.position, limit)
	if err != nil {
		return false
	}
	if !complete {
		// While the server is away, a process may not know what a client from another
		// one has.
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

// Take looks at up to n of the events that came live. If n is 0 it drops them all.
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

// lose has the client begin anew.
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

// Step does one thing that clients do.
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

// Finish has the client hear all there is at a process.
func (c *Client) Finish(ctx context.Context, m *Member) {
	for c.Hop(m); !c.Read(ctx, 3) && ctx.Err() == nil; {
	}
	c.Take(1 << 30)
}
