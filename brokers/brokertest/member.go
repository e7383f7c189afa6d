package brokertest

import (
	"slices"
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Member is a broker in one process, with the events that it received and the clients
// that listen there.
type Member struct {
	brokers.Broker
	process *Process

	mu       sync.Mutex // guards all below
	received []brokers.Event
	clients  map[*Client]struct{}
}

// NewMember returns the member of a broker, which must be started with its Receive.
func NewMember(b brokers.Broker) *Member { return &Member{Broker: b} }

// Receive records an event. It returns the number of events so far in place of the
// number of released requests.
func (m *Member) Receive(e brokers.Event) (released int, rest func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received = append(m.received, e)
	for c := range m.clients {
		if e.Lost() || slices.Contains(c.channels, e.Channel) {
			c.queue = append(c.queue, e)
		}
	}
	return len(m.received), nil
}

// Received returns all received events in order.
func (m *Member) Received() []brokers.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.received)
}

// Texts returns the texts of all received messages.
func (m *Member) Texts() []string { return texts(messages(m.Received())) }

// Lost returns how often the process was told that events were lost.
func (m *Member) Lost() (n int) {
	for _, e := range m.Received() {
		if e.Lost() {
			n++
		}
	}
	return n
}

// Text returns the text of an event's message, or what the event stands for.
func Text(e brokers.Event) string {
	switch {
	case e.Lost():
		return "lost"
	case e.Message == nil:
		return "wake-up"
	}
	return string(e.Message.Body)
}

func texts(events []brokers.Event) (texts []string) {
	for _, e := range events {
		texts = append(texts, Text(e))
	}
	return texts
}

func messages(events []brokers.Event) []brokers.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e brokers.Event) bool { return e.Message == nil })
}

// on returns the events on a channel.
func on(channel string, events []brokers.Event) []brokers.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e brokers.Event) bool { return e.Channel != channel })
}
