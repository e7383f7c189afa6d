// Package metrics counts what parker does, for Prometheus. What is counted belongs
// to the process: a reload changes no figure. Labels are the names of handlers, never
// channels or clients.
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
	parked = gauge("parked_requests", "Requests that are parked now.")
	groups = gauge("sharing_groups", "Groups of polls and streams that share what the backend is asked, now.")
	opened = gauge("open_streams", "Event streams that are open now.")
	sent   = counter("stream_events_total", "Events that streams were sent.")
	parks  = counter("parks_total", "How often a request was parked.")
	ends   = counter("park_ends_total", "How often a request was parked no longer, by what ended it.", "cause")
	held   = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace,
		Name:      "park_duration_seconds",
		Help:      "For how long requests were parked at a time.",
		Buckets:   []float64{.01, .05, .25, 1, 2.5, 5, 10, 20, 30, 40, 50, 60, 120, 300},
	}, []string{"handler"})
	answers = counter("answers_total", "Polls and streams that ended, by the release that Parker-Status names; left, if the client did.", "release")

	running = gauge("asks_running", "Asks that are at the backend now.")
	queued  = gauge("asks_queued", "Asks that wait for their turn now.")
	asks    = counter("asks_total", "Asks that the backend was sent: a poll's first, a replay, or a look, which is a replay after one that found nothing new.", "kind")
	shared  = counter("asks_shared_total", "Asks that the backend was spared, as another's answer served.", "kind")
	failed  = counter("replays_failed_total", "Replays that the backend did not answer, and that are tried again.")
	slow    = counter("slow_readers_total", "Streams that ended because their client read too slowly.")

	published = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace,
		Name:      "published_events_total",
		Help:      "Events that were published at this process, by who did.",
	}, []string{"source"})
	publishing = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace,
		Name:      "publish_duration_seconds",
		Help:      "Time from a publish at this process to the release of the last of its requests.",
		Buckets:   prometheus.ExponentialBuckets(.00001, 4, 10),
	})
)

// collectors are all that there is.
var collectors = []prometheus.Collector{
	parked, groups, opened, sent, parks, ends, held, answers, running, queued, asks, shared, failed, slow, published, publishing,
	ofBroker("history_bytes", "Memory that the history takes in this process.", func(h brokers.Health) float64 { return float64(h.HistoryBytes) }),
	ofBroker("broker_reachable", "Whether events reach other processes and come from them: 1 or 0.", reachable),
	ofBroker("broker_lag_seconds", "How long ago this process was last known to have all events.", func(h brokers.Health) float64 { return h.Lag.Seconds() }),
	ofBroker("broker_waiting_events", "Events that were published here and that the broker's server does not have yet.", func(h brokers.Health) float64 { return float64(h.Waiting) }),
}

func gauge(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, []string{"handler"})
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, append([]string{"handler"}, labels...))
}

// broker is the one in force.
var broker atomic.Pointer[func() brokers.Health]

// Watch has the figures about the broker come from this one.
func Watch(health func() brokers.Health) { broker.Store(&health) }

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

// Register has a configuration's registry show the figures.
func Register(registry *prometheus.Registry) error {
	for _, collector := range collectors {
		err := registry.Register(collector)
		if _, registered := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !registered {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// Source is who published an event.
type Source string

// Those who publish.
const (
	Hook   Source = "hook"
	Write  Source = "notify" // a write that parker_notify saw
	Answer Source = "answer" // the Parker-Publish field of one
	Admin  Source = "admin"  // somebody at Caddy's admin endpoint
)

// Published counts an event.
func Published(source Source) { published.WithLabelValues(string(source)).Inc() }

// Released notes how long it took, in seconds, until all were released that an event
// released.
func Released(seconds float64) { publishing.Observe(seconds) }
