package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker/internal/answer"
)

// Handler is what is counted of a handler. Those of one name count together.
type Handler struct {
	// Parked and Streams are those requests and streams now.
	Parked, Streams prometheus.Gauge

	// Groups is how many groups of them share what the backend is asked, now.
	Groups prometheus.Gauge

	// StreamEvents counts what streams were sent.
	StreamEvents prometheus.Counter

	// Parks counts how often a request was parked, Held for how long, in seconds.
	Parks prometheus.Counter
	Held  prometheus.Observer

	// Running and Queued are the asks at the backend, and those that wait for that.
	Running, Queued prometheus.Gauge

	// First, Replay and Look count the backend's asks. A look is a replay after one that
	// found nothing new.
	First, Replay, Look Asks

	// FailedReplays counts those that the backend did not answer.
	FailedReplays prometheus.Counter

	// SlowReaders counts the streams that ended as their client read too slowly.
	SlowReaders prometheus.Counter

	ends    *prometheus.CounterVec
	answers map[answer.Release]prometheus.Counter
}

// Asks counts asks of one kind: those that were sent to the backend, and those that
// another's answer served.
type Asks struct{ Sent, Shared prometheus.Counter }

// Of is what is counted of the handlers with a name.
func Of(name string) *Handler {
	label := prometheus.Labels{"handler": name}
	of := func(kind string) Asks {
		return Asks{Sent: asks.WithLabelValues(name, kind), Shared: shared.WithLabelValues(name, kind)}
	}
	released := make(map[answer.Release]prometheus.Counter)
	for _, release := range answer.Releases {
		released[release] = answers.WithLabelValues(name, string(release))
	}
	return &Handler{
		Parked:        parked.With(label),
		Streams:       opened.With(label),
		Groups:        groups.With(label),
		StreamEvents:  sent.With(label),
		Parks:         parks.With(label),
		Held:          held.With(label),
		Running:       running.With(label),
		Queued:        queued.With(label),
		First:         of("first"),
		Replay:        of("replay"),
		Look:          of("look"),
		FailedReplays: failed.With(label),
		SlowReaders:   slow.With(label),
		ends:          ends.MustCurryWith(label),
		answers:       released,
	}
}

// Ended counts what ended a park.
func (h *Handler) Ended(cause string) { h.ends.WithLabelValues(cause).Inc() }

// Answered counts a request that has ended, by how it was released.
func (h *Handler) Answered(release answer.Release) { h.answers[release].Inc() }
