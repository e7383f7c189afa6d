package status

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/metrics"
)

const (
	interval   = time.Second
	remembered = 5 * time.Minute
)

// The types of the events on the stream.
const (
	PastEvent = "past" // the remembered samples, oldest first
	NowEvent  = "now"  // a [Now], the newest sample
)

// sampler takes a sample each second while it has users: configurations, for which the
// last minutes are remembered, and open streams.
type sampler struct {
	read func() metrics.Figures
	look func() View

	mu      sync.Mutex // guards all below; not held while figures are read
	users   int        // configurations and streams
	lookers int        // streams
	stop    context.CancelFunc
	past    []Sample
	count   int           // the number of samples taken so far
	newest  []byte        // the event with the newest sample; nil if no stream was open
	next    chan struct{} // closed when there is a newer sample
}

// processWide is the sampler of the process, so that samples survive a reload.
var processWide = newSampler(metrics.Read, look)

func newSampler(read func() metrics.Figures, look func() View) *sampler {
	return &sampler{read: read, look: look, next: make(chan struct{})}
}

// join adds a user, which must call leave. looks is true for a stream, and false for a
// configuration.
func (s *sampler) join(looks bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if looks {
		s.lookers++
	}
	if s.users++; s.users == 1 {
		var ctx context.Context
		ctx, s.stop = context.WithCancel(context.Background())
		s.past, s.newest = []Sample{}, nil
		go s.run(ctx)
	}
}

func (s *sampler) leave(looks bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if looks {
		s.lookers--
	}
	if s.users--; s.users == 0 {
		s.stop()
	}
}

// run takes samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last, at := s.read(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		figures, now := s.read(), time.Now()
		s.add(ctx, sampleOf(last, figures, now.Sub(at), now))
		last, at = figures, now
	}
}

// sampleOf returns the sample for the figures at both ends of a time span.
func sampleOf(from, to metrics.Figures, passed time.Duration, now time.Time) Sample {
	rate := func(from, to float64) float64 {
		return math.Round((to-from)/passed.Seconds()*100) / 100
	}
	return Sample{
		At:       now.UnixMilli(),
		Requests: to.Requests,
		Streams:  to.Streams,
		Groups:   to.Groups,
		Released: rate(from.Released, to.Released),
		Asks:     rate(from.Asks, to.Asks),
		Saved:    rate(from.Saved, to.Saved),

		Unchanged: rate(from.Unchanged, to.Unchanged),
		Unknown:   rate(from.Unknown, to.Unknown),
		PageLoads: rate(from.PageLoads, to.PageLoads),
		Memories:  to.Memories,
	}
}

// add remembers a sample and wakes the streams. It does nothing if the run that took the
// sample has ended.
func (s *sampler) add(ctx context.Context, sample Sample) {
	s.mu.Lock()
	looked := s.lookers > 0
	s.mu.Unlock()
	var event []byte
	if looked {
		event = encode(NowEvent, Now{sample, s.look()})
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return // another run may have begun
	}
	if len(s.past) == int(remembered/interval) {
		s.past = slices.Delete(s.past, 0, 1)
	}
	s.past = append(s.past, sample)
	s.count++
	s.newest = event
	close(s.next)
	s.next = make(chan struct{})
}

// since returns the events for a stream that has seen a number of samples: the newest
// sample, preceded by all earlier ones if the stream missed any of them. next is closed
// when there is a newer sample.
func (s *sampler) since(seen int) (events []byte, count int, next <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.count == seen:
	case s.count == seen+1 && s.newest != nil:
		events = s.newest
	case s.newest != nil:
		events = append(encode(PastEvent, s.past[:len(s.past)-1]), s.newest...)
	default:
		events = encode(PastEvent, s.past)
	}
	return events, s.count, s.next
}

func encode(name string, value any) []byte {
	data, _ := json.Marshal(value) // numbers and strings always encode
	return eventstream.AppendEvent(nil, eventstream.Event{Type: name, Data: data})
}
