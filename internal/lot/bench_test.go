package lot

import (
	"fmt"
	"testing"
	"time"
)

// One request's way through the lot while others are parked on other channels.
func BenchmarkParkAndRelease(b *testing.B) {
	for _, others := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("parked=%d", others), func(b *testing.B) {
			l := New()
			until := time.Now().Add(time.Hour)
			for i := range others {
				w := l.Register([]string{fmt.Sprint("other", i)}, Messages)
				w.Park(Parking{Until: until.Add(time.Duration(i)), Release: func(Outcome) {}})
			}
			channels := []string{"a"}
			release := func(Outcome) {}
			b.ReportAllocs()
			for b.Loop() {
				w := l.Register(channels, Messages)
				w.Note()
				w.Park(Parking{Until: until, Release: release})
				l.Release(wakeUp("a"))
				w.Close()
			}
		})
	}
}

// A publish that releases many, per waiter.
func BenchmarkReleaseMany(b *testing.B) {
	for _, waiters := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("parked=%d", waiters), func(b *testing.B) {
			l := New()
			until := time.Now().Add(time.Hour)
			all := make([]*Waiter, waiters)
			for i := range all {
				all[i] = l.Register([]string{"a"}, Messages)
			}
			release := func(Outcome) {}
			for b.Loop() {
				b.StopTimer()
				for _, w := range all {
					w.Note()
					w.Park(Parking{Until: until, Release: release})
				}
				b.StartTimer()
				if l.Release(wakeUp("a")) != waiters {
					b.Fatal("not all were released")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(waiters), "ns/waiter")
		})
	}
}

// A publish on a channel of one waiter, while a million wait on others.
func BenchmarkReleaseBesideAMillion(b *testing.B) {
	for _, others := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			l := New()
			until := time.Now().Add(time.Hour)
			for i := range others {
				w := l.Register([]string{fmt.Sprint("other", i)}, Messages)
				w.Park(Parking{Until: until, Release: func(Outcome) {}})
			}
			w := l.Register([]string{"a"}, Messages)
			release := func(Outcome) {}
			b.ReportAllocs()
			for b.Loop() {
				w.Note()
				w.Park(Parking{Until: until, Release: release})
				l.Release(wakeUp("a"))
			}
		})
	}
}
