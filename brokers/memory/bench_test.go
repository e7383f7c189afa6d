package memory

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

func BenchmarkPublishFullHistory(b *testing.B) {
	for _, events := range []int{100, 10_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			e := started(brokers.History{Events: events, MaxAge: time.Hour, MaxBytes: 100_000_000})
			publication := say("a", "hello")
			for range events {
				publish(b, e, publication)
			}
			b.ReportAllocs()
			for b.Loop() {
				publish(b, e, publication)
			}
		})
	}
}

func BenchmarkPublishAtMaxBytes(b *testing.B) {
	e := started(brokers.History{Events: 100, MaxAge: time.Hour, MaxBytes: 100_000_000})
	publications := make([]brokers.Publication, 1<<16)
	for i := range publications {
		publications[i] = say(fmt.Sprint(i), "hello")
	}
	i := 0
	next := func() { publish(b, e, publications[i%len(publications)]); i++ }
	for range 1 << 19 {
		next()
	}
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
}

func BenchmarkEvents(b *testing.B) {
	const missed = 10_000
	e := started(brokers.History{Events: missed, MaxAge: time.Hour, MaxBytes: 100_000_000})
	for range missed {
		publish(b, e, say("a", "hello"))
	}
	for name, limit := range map[string]int{"all": missed, "the first": 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if events, _, _ := e.Events(b.Context(), []string{"a"}, e.position(0), limit); len(events) != limit {
					b.Fatal(len(events))
				}
			}
		})
	}
}
