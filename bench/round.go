package main

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// round is a publish, with the time until each client has received it.
type round struct {
	begin time.Time
	want  int           // the number of clients that should receive it
	done  chan struct{} // closed when all have received it

	mu   sync.Mutex // guards took
	took []time.Duration
}

func newRound(want int) *round {
	return &round{begin: time.Now(), want: want, done: make(chan struct{}), took: make([]time.Duration, 0, want)}
}

// heard records that a client has just received the event.
func (r *round) heard() {
	took := time.Since(r.begin)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
	if len(r.took) == r.want {
		close(r.done)
	}
}

// sorted returns the times of the clients that have received the event, the shortest
// first.
func (r *round) sorted() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.took))
}

// release holds the times from a publish to the clients, in milliseconds. Each is the
// median of all publishes.
type release struct {
	Publishes int `json:"publishes"`
	Released  int `json:"released"` // answers or events of all publishes together
	Missed    int `json:"missed"`   // clients that received nothing within 20 s

	First float64 `json:"first_ms"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Last  float64 `json:"last_ms"`
}

// releaseOf returns the figures of rounds, or nil if no client has received anything.
func releaseOf(rounds []*round) *release {
	sum := &release{Publishes: len(rounds)}
	var first, p50, p99, last []time.Duration
	for _, r := range rounds {
		took := r.sorted()
		sum.Released += len(took)
		sum.Missed += r.want - len(took)
		if len(took) == 0 {
			continue
		}
		first, last = append(first, took[0]), append(last, took[len(took)-1])
		p50, p99 = append(p50, quantile(took, 50)), append(p99, quantile(took, 99))
	}
	if sum.Released == 0 {
		return nil
	}
	sum.First, sum.P50, sum.P99, sum.Last = medianMillis(first), medianMillis(p50), medianMillis(p99), medianMillis(last)
	return sum
}

// quantile returns the smallest value that at least percent of the sorted values do not
// exceed.
func quantile[T any](sorted []T, percent int) T {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func medianMillis(values []time.Duration) float64 {
	return float64(median(values).Nanoseconds()) / 1e6
}

func median[T cmp.Ordered](values []T) T {
	return quantile(slices.Sorted(slices.Values(values)), 50)
}
