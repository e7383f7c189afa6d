package advise

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestPeopleWhoLookLikeOneClientAreToldApart(t *testing.T) {
	for _, people := range []int{2, 3, 5, 10, 14} {
		for _, waiting := range []Waiting{ByTimer, AfterAnswer} {
			for _, jitter := range []time.Duration{2 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
				t.Run(fmt.Sprint(people, " ", waiting, " ", jitter), func(t *testing.T) {
					tr := newTraffic(t)
					writes := tr.writes(10*second, 20*minute, 40*second)
					for range people {
						last := 0
						for at := tr.jitter(3 * second); at < 20*minute; {
							e := exchange{client: "all", path: "/tickets/updates", query: fmt.Sprint("since=", last), text: "[]"}
							if n := before(writes, at); n > last {
								e.text = fmt.Sprintf(`[{"ticket":%d}]`, n)
								last = n
							}
							took := tr.took()
							tr.at(at, took, e)
							at += 3*second + tr.jitter(jitter) - jitter/2
							if waiting == AfterAnswer {
								at += took
							}
						}
					}
					for _, at := range writes {
						tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/tickets/reply", status: 302})
					}
					p := tr.onePoll()
					// Where 14 requests come in 3 seconds, some are taken for those of another.
					limit := map[bool]time.Duration{true: 200 * time.Millisecond, false: 600 * time.Millisecond}[people < 14]
					if off := p.Every.Duration() - 3*second; abs(float64(off)) > float64(limit) || len(p.Publishers) != 1 || !p.Hold {
						t.Errorf("%+v", p)
					}
				})
			}
		}
	}
}

// TestManyRequestsAtRandomAreNoTrains has the traffic of many people who click: at random, in
// waves, and with several requests for each page.
func TestManyRequestsAtRandomAreNoTrains(t *testing.T) {
	for seed := range 60 {
		tr := newTraffic(t)
		tr.random = rand.New(rand.NewPCG(uint64(seed), 7))
		pause := []time.Duration{300 * time.Millisecond, 2 * second, 20 * second}[seed%3]
		for at := time.Duration(0); at < 20*minute; {
			between := time.Duration(tr.random.ExpFloat64() * float64(pause))
			if seed%4 == 1 && at/minute%2 == 0 {
				between *= 5 // waves
			}
			at += between
			for n := range 1 + seed%3 {
				tr.at(at+time.Duration(n)*400*time.Millisecond, tr.took(), exchange{client: "all", path: "/state", text: fmt.Sprint("[", at/minute, "]")})
			}
		}
		if polls := tr.report().Polls; len(polls) > 0 {
			t.Errorf("seed %d: every %s, %d asks", seed, polls[0].Every, polls[0].Asks)
		}
	}
}

func BenchmarkTrains(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	var asks []*record
	at := int64(0)
	for range 20_000 {
		at += random.Int64N(int64(time.Second))
		asks = append(asks, &record{begun: at})
	}
	for b.Loop() {
		trainOf(asks)
	}
}
