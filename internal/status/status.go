// Package status shows those who run parker what it does right now: figures that are
// taken each second, as an event stream and as a page that draws them.
package status

import (
	"cmp"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/lot"
)

// Sample is what was so at a moment, and what happened in the second before.
type Sample struct {
	At       int64   `json:"at"`       // in milliseconds since 1970
	Requests int     `json:"requests"` // that are parked
	Streams  int     `json:"streams"`  // that are open
	Groups   int     `json:"groups"`   // of both, that share asks
	Released float64 `json:"released"` // requests that an event or a watch let go and events that streams were sent, a second
	Asks     float64 `json:"asks"`     // that the backend was sent, a second
	Saved    float64 `json:"saved"`    // that the backend was spared, a second
}

// Now is the newest sample, and what more is so at that moment.
type Now struct {
	Sample
	View
}

// View is what only those who look are told, as it costs more to find out.
type View struct {
	Channels int                   `json:"channels"` // that anyone waits on
	Busiest  []hook.ChannelWaiting `json:"busiest"`  // those on which most wait, first the busiest
	Broker   Broker                `json:"broker"`
}

// Broker is how the broker fares.
type Broker struct {
	Reachable    bool    `json:"reachable"`
	Lag          float64 `json:"lag_seconds"`
	Waiting      int     `json:"waiting_events"`
	HistoryBytes int64   `json:"history_bytes"`
}

// BrokerOf is how a broker says that it fares.
func BrokerOf(health brokers.Health) Broker {
	return Broker{
		Reachable:    health.Reachable,
		Lag:          health.Lag.Seconds(),
		Waiting:      health.Waiting,
		HistoryBytes: health.HistoryBytes,
	}
}

// shown is how many channels are.
const shown = 12

// look is the view of the configuration in force.
func look() View {
	h, ok := hub.Current()
	if !ok {
		return View{Busiest: []hook.ChannelWaiting{}}
	}
	channels, busiest := busiestOf(h.Lot)
	return View{Channels: channels, Busiest: busiest, Broker: BrokerOf(h.Broker.Health())}
}

// busiestOf counts the channels that anyone waits on, and names those of most.
func busiestOf(l *lot.Lot) (channels int, busiest []hook.ChannelWaiting) {
	busiest = make([]hook.ChannelWaiting, 0, shown+1)
	l.EachWaiting(func(name string, waiting lot.Waiting) {
		channels++
		c := hook.ChannelWaiting{Channel: name, Waiting: hook.Waiting(waiting)}
		if at, _ := slices.BinarySearchFunc(busiest, c, busierFirst); at < shown {
			busiest = slices.Insert(busiest, at, c)
			busiest = busiest[:min(len(busiest), shown)]
		}
	})
	return channels, busiest
}

func busierFirst(a, b hook.ChannelWaiting) int {
	return cmp.Or(
		cmp.Compare(b.Requests+b.Streams, a.Requests+a.Streams),
		cmp.Compare(a.Channel, b.Channel),
	)
}
