package brokertest

import (
	"slices"
	"sync"

	"github.com/caddy-parker/parker/brokers"
)

// Member is a broker in one process, with what it has received and with the clients
// that are there.
type Member struct {
	brokers.Broker
	process *Process

	mu       sync.Mutex // guards all below
	received []brokers.Event
	clients  map[*Client]struct{}
}

// NewMember is of a broker that is to be started with Receive.
func NewMember(b brokers.Broker) *Member { return &Member{Broker: b} }

// Receive takes an event. Instead of those who were released it counts the events.
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

// Received is all that came, in order.
func (m *Member) Received() []brokers.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.received)
}

// Texts are those of all messages that came.
func (m *Member) Texts() []string { return texts(messages(m.Received())) }

// Lost counts how often the process was told that something did not come.
func (m *Member) Lost() (n int) {
	for _, e := range m.Received() {
		if e.Lost() {
			n++
		}
	}
	return n
}

// Text is what an event says.
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

// on is those of the events that are on a channel.
func on(channel string, events []brokers.Event) []brokers.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e brokers.Event) bool { return e.Channel != channel })
}
