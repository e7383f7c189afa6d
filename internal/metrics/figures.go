package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-parker/parker/internal/lot"
)

// Figures holds the metrics of all handlers together.
type Figures struct {
	// Requests is the number of parked requests, Streams that of open streams, and
	// Groups that of the groups that share asks.
	Requests, Streams, Groups int

	// Released counts the requests that were released by an event or a watch, and the
	// events that were sent to streams, since the process started.
	Released float64

	// Asks counts the asks that were sent to the backend, and Saved those that were
	// avoided because the answer to another one was shared, since the process started.
	Asks, Saved float64

	// Unchanged counts the polls that were held because their client had the answer
	// already, Unknown those that were not held because nothing was known of their client,
	// and PageLoads the page loads that were seen, since the process started.
	Unchanged, Unknown, PageLoads float64

	// Memories is the number of answers that parker remembers to have given.
	Memories int
}

// Read returns the current figures.
func Read() Figures {
	return Figures{
		Requests: int(sum(parked)),
		Streams:  int(sum(opened)),
		Groups:   int(sum(groups)),
		Released: sum(ends, lot.Published.String(), lot.Woken.String()) + sum(sent),
		Asks:     sum(asks),
		Saved:    sum(shared),

		Unchanged: sum(unchanged),
		Unknown:   sum(unknown),
		PageLoads: sum(PageLoads),
		Memories:  int(remembered()),
	}
}

// sum returns the sum of gauges or counters. If causes are given, it adds up only
// those with one of them as the label cause.
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
