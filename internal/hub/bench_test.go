package hub

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/memory"
	"github.com/caddy-parker/parker/internal/lot"
)

// How long a publish on a channel of one request takes while another releases 100,000
// on a channel of theirs: the longest in that time, as a part of what the other took.
func BenchmarkPublishBesideALargeChannel(b *testing.B) {
	const many = 100_000
	broker := new(memory.Broker)
	if err := broker.Provision(caddy.Context{}); err != nil {
		b.Fatal(err)
	}
	defer broker.Cleanup()
	h := Hub{Process: &Process{Lot: lot.New()}, logger: zap.NewNop(), debug: zap.NewNop()}
	broker.Start(brokers.History{Events: 100, MaxAge: time.Hour, MaxBytes: 100_000_000}, h.Lot.Receive)
	h.Broker.use(broker)

	var parked, polls sync.WaitGroup
	end := make(chan struct{})
	poll := func(channel string) {
		released := make(chan lot.Outcome, 1)
		w := h.Lot.Register([]string{channel}, lot.Messages)
		defer w.Close()
		for {
			w.Note()
			if _, ok := w.Park(lot.Parking{Until: time.Now().Add(time.Hour), Release: func(o lot.Outcome) { released <- o }}); ok {
				parked.Done()
				select {
				case <-released:
				case <-end:
					w.Leave()
					return
				}
			}
		}
	}
	parked.Add(many)
	for range many {
		polls.Go(func() { poll("large") })
	}
	publish := func(channel string) (took time.Duration) {
		begin := time.Now()
		if _, err := h.Publish(b.Context(), brokers.Publication{Channel: channel}); err != nil {
			b.Error(err)
		}
		return time.Since(begin)
	}
	var large, longest []float64
	for b.Loop() {
		parked.Wait()
		parked.Add(many)
		begun, done := make(chan struct{}), make(chan struct{})
		go func() {
			close(begun)
			large = append(large, publish("large").Seconds())
			close(done)
		}()
		<-begun
		slowest := 0.0
		for over := false; !over; {
			select {
			case <-done:
				over = true
			default:
				slowest = max(slowest, publish("small").Seconds())
			}
		}
		longest = append(longest, slowest)
	}
	parked.Wait()
	close(end)
	polls.Wait()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(1000*mean(large), "ms-large")
	b.ReportMetric(1000*mean(longest), "ms-small")
	b.ReportMetric(mean(longest)/mean(large), "small/large")
}

// mean is the geometric one: a single slow run does not decide.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(values)))
}
