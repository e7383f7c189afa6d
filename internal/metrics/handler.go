package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker/internal/answer"
)

// Handler holds the metrics of a handler. Handlers with the same name share them.
type Handler struct {
	// Parked is the number of parked requests, and Streams that of open streams.
	Parked, Streams prometheus.Gauge

	// Groups is the number of groups of requests that share asks.
	Groups prometheus.Gauge

	// StreamEvents counts the events that were sent to streams.
	StreamEvents prometheus.Counter

	// Parks counts how often requests were parked. Held observes for how long each
	// time, in seconds.
	Parks prometheus.Counter
	Held  prometheus.Observer

	// Running is the number of asks at the backend, Queued that of the asks that wait for
	// their turn, and Joined that of the requests that wait for another one's ask.
	Running, Queued, Joined prometheus.Gauge

	// First, Replay and Look count the asks. A look is a replay that follows one that
	// found nothing new.
	First, Replay, Look Asks

	// FailedReplays counts the replays that the backend did not answer.
	FailedReplays prometheus.Counter

	// SlowReaders counts the streams that were ended because the client read too
	// slowly.
	SlowReaders prometheus.Counter

	// Unchanged counts the polls that were held because their client had the answer already.
	Unchanged prometheus.Counter

	unknown prometheus.Counter
	ends    *prometheus.CounterVec
	answers map[answer.Release]prometheus.Counter
}

// Asks counts asks of one kind: those that were sent to the backend, and those that
// shared the answer to another one.
type Asks struct{ Sent, Shared prometheus.Counter }

// Of returns the metrics of the handlers with the name.
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
		Joined:        joined.With(label),
		First:         of("first"),
		Replay:        of("replay"),
		Look:          of("look"),
		FailedReplays: failed.With(label),
		SlowReaders:   slow.With(label),
		Unchanged:     unchanged.With(label),
		unknown:       unknown.With(label),
		ends:          ends.MustCurryWith(label),
		answers:       released,
	}
}

// Ended counts the end of a park by its cause.
func (h *Handler) Ended(cause string) { h.ends.WithLabelValues(cause).Inc() }

// Answered counts a request that has ended, by what is reported of it.
func (h *Handler) Answered(report *answer.Report) {
	h.answers[report.Release].Inc()
	if report.Detail == answer.Unknown {
		h.unknown.Inc()
	}
}
