package main

import (
	"context"
	"testing"
)

// What one parked HTTP/1.1 request weighs where no two share an answer, in resident
// memory of a process that does nothing but run Caddy. "bare" is the floor: the same
// request, held without parker by a handler that has asked the backend and waits.
func BenchmarkParkedBytes(b *testing.B) {
	for _, holder := range []string{"parker", "bare"} {
		b.Run(holder, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(parkedBytes(b, holder), "bytes/request")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func parkedBytes(b *testing.B, holder string) float64 {
	const requests = 5000
	s, err := startSubject(b.Context(), holder+" /messages")
	if err != nil {
		b.Fatal(err)
	}
	defer s.stop()
	t := s.target("messages", new(progress))
	if holder == "bare" {
		t.waiting = func(ctx context.Context, _ *crowd) (int, error) { return heldBare(ctx, s.caddy.site) }
	}
	if err := s.warm(b.Context(), t, false); err != nil {
		b.Fatal(err)
	}
	c := newCrowd(t.url, nil, false)
	defer c.leave()
	bytesEach, noMemory, err := t.gather(b.Context(), c, requests)
	if err != nil {
		b.Fatal(err)
	}
	if noMemory != nil {
		b.Skip("this benchmark needs Linux: ", noMemory)
	}
	return float64(*bytesEach)
}
