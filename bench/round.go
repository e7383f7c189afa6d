package main

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// round is one publish, and how long it takes to each client.
type round struct {
	begin time.Time
	want  int           // how many clients are to hear
	done  chan struct{} // is closed when all have

	mu   sync.Mutex // guards took
	took []time.Duration
}

func newRound(want int) *round {
	return &round{begin: time.Now(), want: want, done: make(chan struct{}), took: make([]time.Duration, 0, want)}
}

// heard says that a client did, just now.
func (r *round) heard() {
	took := time.Since(r.begin)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
	if len(r.took) == r.want {
		close(r.done)
	}
}

// sorted is how long it took to those who have heard, the shortest first.
func (r *round) sorted() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.took))
}

// release is how long publishes took to those who waited: of each figure the median
// of all publishes, in milliseconds.
type release struct {
	Publishes int `json:"publishes"`
	Released  int `json:"released"` // answers or events, of all publishes together
	Missed    int `json:"missed"`   // clients that had none within 20 s

	First float64 `json:"first_ms"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Last  float64 `json:"last_ms"`
}

// releaseOf sums up rounds. It is nil where nobody has heard anything.
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

// quantile is the value that so many percent of the sorted ones do not exceed.
func quantile[T any](sorted []T, percent int) T {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func medianMillis(values []time.Duration) float64 {
	return float64(median(values).Nanoseconds()) / 1e6
}

func median[T cmp.Ordered](values []T) T {
	return quantile(slices.Sorted(slices.Values(values)), 50)
}
