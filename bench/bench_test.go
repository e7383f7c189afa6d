package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) {
	if ok, err := serve(); ok {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	caddytest.Main(m)
}

const hook = `
http://{$HOOK} {
	parker_publish
}`

// What parker adds to a request that it does not hold, in processor time of
// Caddy: two Caddys that differ in nothing else take turns.
func BenchmarkPassThrough(b *testing.B) {
	for name, news := range map[string]string{"short": message, "long": strings.Repeat("x", 100_000)} {
		b.Run(name, func(b *testing.B) { benchPassing(b, news) })
	}
}

func benchPassing(b *testing.B, news string) {
	p, err := startPassing(b.Context(), news)
	if err != nil {
		b.Fatal(err)
	}
	defer p.stop()
	var with, without []time.Duration
	for b.Loop() {
		x, y, err := p.turn(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		with, without = append(with, x), append(without, y)
	}
	sum := passThroughOf(with, without)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(sum.With, "µs-cpu/with")
	b.ReportMetric(sum.Without, "µs-cpu/without")
	b.ReportMetric(sum.Ratio, "ratio")
}

func micros(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds()) / 1000
}

// cpu is the processor time that a process has used.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	used, err := processorTime(pid)
	if err != nil {
		b.Skip("this benchmark needs Linux: ", err)
	}
	return used
}
