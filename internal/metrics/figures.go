package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-parker/parker/internal/lot"
)

// Figures are what the metrics say of all handlers together.
type Figures struct {
	// Requests and Streams are those parked and open now, Groups how many groups share
	// what the backend is asked.
	Requests, Streams, Groups int

	// Of all that follows they say how often it happened so far. Released counts the
	// requests that an event or a watch let go, and the events that streams were sent.
	Released float64

	// Asks were sent to the backend, and Saved it was spared.
	Asks, Saved float64
}

// Read is what the metrics say now.
func Read() Figures {
	return Figures{
		Requests: int(sum(parked)),
		Streams:  int(sum(opened)),
		Groups:   int(sum(groups)),
		Released: sum(ends, lot.Published.String(), lot.Woken.String()) + sum(sent),
		Asks:     sum(asks),
		Saved:    sum(shared),
	}
}

// sum adds up gauges or counters: all, or those of some causes.
func sum(of prometheus.Collector, causes ...string) (total float64) {
	each := make(chan prometheus.Metric)
	go func() {
		defer close(each)
		of.Collect(each)
	}()
	for metric := range each {
		var m dto.Metric
		if err := metric.Write(&m); err == nil && (len(causes) == 0 || slices.Contains(causes, causeOf(m.Label))) {
			total += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return total
}

func causeOf(labels []*dto.LabelPair) string {
	for _, label := range labels {
		if label.GetName() == "cause" {
			return label.GetValue()
		}
	}
	return ""
}
