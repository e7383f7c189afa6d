// Package metrics provides parker's metrics for Prometheus. They belong to the process
// and are kept through reloads. Labels never contain channels or clients.
package metrics

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker/brokers"
)

const namespace = "parker"

var (
	parked = gauge("parked_requests", "Number of requests currently parked.")
	groups = gauge("sharing_groups", "Number of groups of polls and streams that currently share asks.")
	opened = gauge("open_streams", "Number of event streams currently open.")
	sent   = counter("stream_events_total", "Number of events sent to streams.")
	parks  = counter("parks_total", "Number of times a request was parked.")
	ends   = counter("park_ends_total", "Number of times a park ended, by cause.", "cause")
	held   = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace,
		Name:      "park_duration_seconds",
		Help:      "Time that requests were parked.",
		Buckets:   []float64{.01, .05, .25, 1, 2.5, 5, 10, 20, 30, 40, 50, 60, 120, 300},
	}, []string{"handler"})
	answers = counter("answers_total", "Number of polls and streams that ended, by the release in Parker-Status, or left if the client left.", "release")

	running = gauge("asks_running", "Number of asks currently at the backend.")
	queued  = gauge("asks_queued", "Number of asks currently waiting for their turn.")
	joined  = gauge("asks_joined", "Number of requests currently waiting for the answer to another request's ask.")
	asks    = counter("asks_total", "Number of asks sent to the backend: a poll's first ask, a replay, or a look, which is a replay after one that found nothing new.", "kind")
	shared  = counter("asks_shared_total", "Number of asks not sent to the backend because the answer to another ask was shared.", "kind")
	failed  = counter("replays_failed_total", "Number of replays that the backend did not answer. They are tried again.")
	slow    = counter("slow_readers_total", "Number of streams that ended because the client read too slowly.")

	unchanged = counter("unchanged_holds_total", "Number of polls that the rule unchanged held, because their client had the answer already.")
	unknown   = counter("unknown_clients_total", "Number of polls that were not held because nothing was known of their client.")

	memories = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "memories", Help: "Number of answers that parker currently remembers to have given."}, remembered)

	// PageLoads counts the documents that browsers asked for, at sites whose answers are
	// compared with what clients have.
	PageLoads = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "page_loads_total", Help: "Number of page loads seen at sites with the rule unchanged."})

	published = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace,
		Name:      "published_events_total",
		Help:      "Number of events published at this process, by source.",
	}, []string{"source"})
	publishing = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace,
		Name:      "publish_duration_seconds",
		Help:      "Time from a publish at this process to the release of the last request.",
		Buckets:   prometheus.ExponentialBuckets(.00001, 4, 10),
	})
)

// collectors are the collectors of all metrics.
var collectors = []prometheus.Collector{
	parked, groups, opened, sent, parks, ends, held, answers, running, queued, joined, asks, shared, failed, slow, unchanged, unknown, memories, PageLoads, published, publishing,
	ofBroker("history_bytes", "Memory used by the history in this process.", func(h brokers.Health) float64 { return float64(h.HistoryBytes) }),
	ofBroker("broker_reachable", "Whether the broker can be reached: 1 or 0.", reachable),
	ofBroker("broker_lag_seconds", "Time since this process was last known to have all events.", func(h brokers.Health) float64 { return h.Lag.Seconds() }),
	ofBroker("broker_waiting_events", "Number of events published at this process that the broker's server does not have yet.", func(h brokers.Health) float64 { return float64(h.Waiting) }),
}

func gauge(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, []string{"handler"})
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, append([]string{"handler"}, labels...))
}

// broker returns the health of the broker in use. It is nil if there is none.
var broker atomic.Pointer[func() brokers.Health]

// Watch sets the function that returns the health of the broker, for the broker's
// metrics.
func Watch(health func() brokers.Health) { broker.Store(&health) }

// counted returns the number of memories. It is nil if there are none.
var counted atomic.Pointer[func() int]

// WatchMemories sets the function that returns how many answers parker remembers to have
// given, also to clients whose polls are parked.
func WatchMemories(count func() int) { counted.Store(&count) }

func remembered() float64 {
	if count := counted.Load(); count != nil {
		return float64((*count)())
	}
	return 0
}

func ofBroker(name, help string, figure func(brokers.Health) float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, func() float64 {
		if health := broker.Load(); health != nil {
			return figure((*health)())
		}
		return 0
	})
}

func reachable(h brokers.Health) float64 {
	if h.Reachable {
		return 1
	}
	return 0
}

// Register adds all metrics to the registry of a configuration.
func Register(registry *prometheus.Registry) error {
	for _, collector := range collectors {
		err := registry.Register(collector)
		if _, registered := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !registered {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// Source is the way in which an event was published.
type Source string

// The sources of events.
const (
	Hook   Source = "hook"   // a request at the hook
	Write  Source = "notify" // a write that parker_notify saw
	Answer Source = "answer" // the Parker-Publish field of a backend's answer
	Admin  Source = "admin"  // a request at Caddy's admin API
)

// Published counts an event that was published.
func Published(source Source) { published.WithLabelValues(string(source)).Inc() }

// Released observes the time from a publish to the release of its last request, in
// seconds.
func Released(seconds float64) { publishing.Observe(seconds) }
