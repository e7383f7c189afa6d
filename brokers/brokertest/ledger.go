package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Ledger records everything that was published, to check what clients and processes
// received.
type Ledger struct {
	// Losses is true if the server has lost events, so that clients may be told of
	// losses. Unordered is true if the server has stored events out of order.
	Losses, Unordered bool

	mu        sync.Mutex // guards all below
	published []*published
}

// published is one publication and its result.
type published struct {
	brokers.Publication
	by     *Member
	began  time.Time
	took   time.Duration
	result brokers.Published
	err    error
	done   bool
}

func (p *published) String() string {
	if p.Message == nil {
		return "the wake-up of " + p.Channel
	}
	return string(p.Message.Body)
}

// Publish publishes a message with a unique text, or a wake-up. If id is not empty,
// publications with the same ID are one event.
func (l *Ledger) Publish(ctx context.Context, m *Member, channel, id string, message bool) {
	p := &published{Publication: brokers.Publication{Channel: channel, ID: id}, by: m, began: time.Now()}
	l.mu.Lock()
	if message {
		p.Message = &brokers.Message{Body: fmt.Appendf(nil, "%s.%d", channel, len(l.published)), ContentType: "text/plain"}
	}
	l.published = append(l.published, p)
	l.mu.Unlock()
	result, err := m.Publish(ctx, p.Publication)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.result, p.err, p.took, p.done = result, err, time.Since(p.began), true
}

// Messages returns the number of published messages.
func (l *Ledger) Messages() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.published {
		if p.Message != nil {
			n++
		}
	}
	return n
}

// CheckPublishers fails the test unless every publication has succeeded in time.
func (l *Ledger) CheckPublishers(t testing.TB, within time.Duration) {
	t.Helper()
	for _, p := range l.published {
		if p.err != nil || !p.done || p.took > within {
			t.Errorf("publishing %s: done %t, after %v: %v", p, p.done, p.took, p.err)
		}
	}
}

// CheckMember fails the test unless the process received each message once, and each
// publisher got the right number of released requests.
func (l *Ledger) CheckMember(t testing.TB, m *Member) {
	t.Helper()
	at := make(map[string]int)
	for i, e := range m.Received() {
		if e.Lost() && l.Losses {
			clear(at)
		}
		if e.Message == nil {
			continue
		}
		if at[Text(e)] > 0 {
			t.Errorf("a process received %s twice", Text(e))
		}
		at[Text(e)] = i + 1
	}
	for _, p := range l.published {
		if p.by != m || p.Message == nil || p.result.Duplicate || p.result.Unreachable || l.Losses {
			continue
		}
		if want := at[p.String()]; p.result.Released != want {
			t.Errorf("%s reports %d released requests, and was event %d here", p, p.result.Released, want)
		}
	}
}

// CheckClient fails the test unless the client received each message since it started
// once, and those of one process on one channel in order. The client must also have been
// woken after the last wake-up, and must not have been told of losses without reason.
func (l *Ledger) CheckClient(t testing.TB, c *Client) {
	t.Helper()
	if c.wrongly > 0 && !l.Losses {
		t.Errorf("a client was told that something may be lost, %d times", c.wrongly)
	}
	since := c.started
	if c.reset.After(since) {
		since = c.reset
	}
	heard := l.heardOnce(t, c, since)
	last := make(map[string]*published) // by process and channel
	ids := make(map[string]int)
	for _, p := range l.published {
		if !slices.Contains(c.channels, p.Channel) || !p.began.After(since) {
			continue
		}
		at, key := heard[p.String()], fmt.Sprintf("%p %s", p.by, p.Channel)
		switch {
		case p.ID != "":
			ids[p.Channel+" "+p.ID] += min(at, 1)
		case p.Message == nil:
			if c.woken[p.Channel].Before(p.began) {
				t.Errorf("a client was not woken by %s", p)
			}
		case at == 0:
			t.Errorf("a client did not hear %s: %+v", p, p.result)
		case last[key] != nil && at < heard[last[key].String()] && !l.Unordered && !l.Losses:
			t.Errorf("a client heard %s before %s", p, last[key])
		default:
			last[key] = p
		}
	}
	for id, times := range ids {
		if times > 1 {
			t.Errorf("a client heard what is named %s %d times", id, times)
		}
	}
}

// heardOnce returns the place at which the client received each text, counted from 1. It
// fails the test if a text was received twice. After it was told of a loss, a client may
// receive earlier messages again, and if the server has lost events, also messages that
// were published while it was unreachable.
func (l *Ledger) heardOnce(t testing.TB, c *Client, since time.Time) map[string]int {
	t.Helper()
	byText := make(map[string]*published)
	for _, p := range l.published {
		byText[p.String()] = p
	}
	heard := make(map[string]int)
	for i, text := range c.heard {
		p := byText[text]
		if heard[text] > 0 && p.began.After(since) && !(l.Losses && p.result.Unreachable) {
			t.Errorf("a client heard %s twice", text)
		}
		heard[text] = i + 1
	}
	return heard
}
