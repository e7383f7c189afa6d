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

// The types of the events that those who look are sent.
const (
	PastEvent = "past" // the samples that are remembered, oldest first
	NowEvent  = "now"  // a [Now]: what comes after them
)

// sampler takes a sample each second, while a configuration wants the last minutes
// remembered or somebody looks.
type sampler struct {
	read func() metrics.Figures
	look func() View

	mu      sync.Mutex // guards all below; not held while figures are read
	users   int        // who wants samples taken
	lookers int        // those of them who look
	stop    context.CancelFunc
	past    []Sample
	count   int           // how many samples were taken so far
	newest  []byte        // the event with the newest; nil: nobody looked
	next    chan struct{} // closed when there is a newer one
}

// processWide is the process's one, so that a reload forgets nothing.
var processWide = newSampler(metrics.Read, look)

func newSampler(read func() metrics.Figures, look func() View) *sampler {
	return &sampler{read: read, look: look, next: make(chan struct{})}
}

// join has samples taken until leave, which must follow, for one who looks at them or
// only wants them remembered.
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

// sampleOf is what became of the figures in the time that has passed.
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
	}
}

// add remembers a sample, unless the run that took it has ended, and tells those who
// look.
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

// since is what one who looks is to be sent who has seen so many samples: the newest,
// and if it has not seen those before it either, all of them first. next is closed
// when there is more.
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
