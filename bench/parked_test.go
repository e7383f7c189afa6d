package main

import (
	"context"
	"errors"
	"testing"
)

// What one parked HTTP/1.1 request weighs where no two share an answer, in resident
// memory of a process that does nothing but run Caddy: as it is parked first, and after
// all have been released at once a few times, each with an ask of its own. That leaves
// holes in Go's heap, which it keeps for the next time. "bare" is the floor: the same
// request, held without parker by a handler that has asked the backend and waits.
func BenchmarkParkedBytes(b *testing.B) {
	for _, holder := range []string{"parker", "bare"} {
		b.Run(holder, func(b *testing.B) {
			for b.Loop() {
				parkedBytes(b, holder)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func parkedBytes(b *testing.B, holder string) {
	const requests, releases = 5000, 3
	s, err := startSubject(b.Context(), holder+" /messages")
	if err != nil {
		b.Fatal(err)
	}
	defer s.stop()
	t := s.caddy.target("messages", new(progress))
	if holder == "bare" {
		t.waiting = func(ctx context.Context, _ *crowd) (int, error) { return heldBare(ctx, s.caddy.site) }
	}
	if err := s.warm(b.Context(), t, false); err != nil {
		b.Fatal(err)
	}
	before, noMemory := t.memory()
	if noMemory != nil {
		b.Skip("this benchmark needs Linux: ", noMemory)
	}
	c := newCrowd(t.url, nil, false)
	defer c.leave()
	first, noMemory, err := t.gather(b.Context(), c, requests)
	if err := errors.Join(err, noMemory); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(*first), "bytes/request")
	if holder == "bare" {
		return
	}
	for range releases {
		if _, err := t.publishes(b.Context(), c, "", 0, s.wake); err != nil {
			b.Fatal(err)
		}
	}
	if err := t.await(b.Context(), c, requests); err != nil {
		b.Fatal(err)
	}
	after, noMemory := t.memory()
	if noMemory != nil {
		b.Fatal(noMemory)
	}
	b.ReportMetric(float64(after-before)/requests, "bytes/request-later")
}
