// Package status shows operators what parker does right now: figures that are taken each
// second, as an event stream and as a page that draws them.
package status

import (
	"cmp"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/lot"
)

// Sample holds the figures at one moment, and rates over the second before it.
type Sample struct {
	At       int64   `json:"at"`       // in milliseconds since 1970
	Requests int     `json:"requests"` // parked requests
	Streams  int     `json:"streams"`  // open streams
	Groups   int     `json:"groups"`   // groups of requests and streams that share asks
	Released float64 `json:"released"` // requests that an event or a watch released and events sent on streams, per second
	Asks     float64 `json:"asks"`     // asks sent to the backend, per second
	Saved    float64 `json:"saved"`    // asks saved by sharing, per second

	// Zero at sites without the rule `unchanged`.
	Unchanged float64 `json:"unchanged,omitzero"`  // polls held because their client had the answer already, per second
	Unknown   float64 `json:"unknown,omitzero"`    // polls not held because nothing was known of their client, per second
	PageLoads float64 `json:"page_loads,omitzero"` // per second
	Memories  int     `json:"memories,omitzero"`   // answers that parker remembers to have given
}

// Compares reports whether the sample shows that answers are compared with what clients
// have.
func (s Sample) Compares() bool { return s.Unchanged+s.Unknown+s.PageLoads > 0 || s.Memories > 0 }

// Now is the newest sample with a [View] of the same moment.
type Now struct {
	Sample
	View
}

// View holds figures that are expensive to determine, and so are taken only while a
// stream is open.
type View struct {
	Channels int                  `json:"channels"` // channels with waiting requests or streams
	Busiest  []lot.ChannelWaiting `json:"busiest"`  // the channels with the most of them, busiest first
	Broker   Broker               `json:"broker"`
}

// Broker is the state of the broker.
type Broker struct {
	Reachable    bool    `json:"reachable"`
	Lag          float64 `json:"lag_seconds"`
	Waiting      int     `json:"waiting_events"`
	HistoryBytes int64   `json:"history_bytes"`
}

// BrokerOf returns the state of a broker.
func BrokerOf(health brokers.Health) Broker {
	return Broker{
		Reachable:    health.Reachable,
		Lag:          health.Lag.Seconds(),
		Waiting:      health.Waiting,
		HistoryBytes: health.HistoryBytes,
	}
}

// shown is the number of channels on the page.
const shown = 12

// look returns the view of the current configuration.
func look() View {
	h, ok := hub.Current()
	if !ok {
		return View{Busiest: []lot.ChannelWaiting{}}
	}
	channels, busiest := busiestOf(h.Lot)
	return View{Channels: channels, Busiest: busiest, Broker: BrokerOf(h.Broker.Health())}
}

// busiestOf returns the number of channels with waiting requests or streams, and the
// channels with the most of them.
func busiestOf(l *lot.Lot) (channels int, busiest []lot.ChannelWaiting) {
	busiest = make([]lot.ChannelWaiting, 0, shown+1)
	l.EachWaiting(func(c lot.ChannelWaiting) {
		channels++
		if at, _ := slices.BinarySearchFunc(busiest, c, busierFirst); at < shown {
			busiest = slices.Insert(busiest, at, c)
			busiest = busiest[:min(len(busiest), shown)]
		}
	})
	return channels, busiest
}

func busierFirst(a, b lot.ChannelWaiting) int {
	return cmp.Or(
		cmp.Compare(b.Requests+b.Streams, a.Requests+a.Streams),
		cmp.Compare(a.Channel, b.Channel),
	)
}
