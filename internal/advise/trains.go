package advise

import (
	"math"
	"slices"
	"time"
)

// Many people behind one address whose cookies are not known, as in logs, look like one
// client. Each of them asks at the interval of the page, but the requests of all are in no
// order. A train is what one of them asks. The interval shows in how often two requests are
// apart by it: for n requests in trains, n times more often than by slightly shorter and
// longer times, at which they come by chance.

const (
	maxTrains   = 16
	minOfTrains = 24  // requests of a client that are looked at
	maxSampled  = 600 // of its requests, the latest
	minInTrains = 0.7 // of the requests must have one that follows in the train
	minSurprise = 5.0 // by how many standard deviations they must be more than by chance
)

// train is the interval at which trains run.
type train struct {
	every    time.Duration
	width    float64 // by which part of it the intervals differ, at most
	answered bool    // it counts from the answer to the next request
}

// from returns when the interval begins that a request is followed by.
func (t *train) from(it *record) int64 {
	if t.answered {
		return it.end()
	}
	return it.begun
}

// trainOf returns the interval at which the trains run that a client's requests consist of.
// ok is false if there are none.
func trainOf(asks []*record) (found train, ok bool) {
	if len(asks) < minOfTrains {
		return train{}, false
	}
	asks = asks[max(0, len(asks)-maxSampled):]
	limit := reach(asks)
	best := 0.0
	for _, answered := range []bool{false, true} {
		lags := lagsOf(asks, train{answered: answered})
		for _, width := range []float64{0.02, 0.05, 0.1} {
			t, share := searchTrain(lags, len(asks), limit, train{width: width, answered: answered})
			if share = min(share, 1); share > best*1.1 {
				found, best = t, share
			}
		}
	}
	return found, best > 0
}

// lookahead is how many of the requests after one are looked at.
const lookahead = 3 * maxTrains

// reach returns how far apart requests can be that are looked at together, nearly always.
func reach(asks []*record) float64 {
	if len(asks) <= lookahead {
		return float64(longestInterval) * 3 / 2
	}
	between := slices.Sorted(slices.Values(timesBetween(asks, lookahead)))
	return float64(between[len(between)/20])
}

// lagsOf returns, sorted, by how much requests are apart that could follow one another in a
// train.
func lagsOf(asks []*record, t train) []float64 {
	var lags []float64
	for i := range asks {
		for j := i + 1; j < min(len(asks), i+1+lookahead); j++ {
			lag := asks[j].begun - t.from(asks[i])
			if lag > 0 && lag <= int64(longestInterval)*3/2 {
				lags = append(lags, float64(lag))
			}
		}
	}
	slices.Sort(lags)
	return lags
}

// searchTrain looks for the shortest interval at which requests are apart far more often than
// by chance. share is the part of the requests that this explains, 0 if there is none.
func searchTrain(lags []float64, asks int, limit float64, t train) (found train, share float64) {
	between := func(from, to float64) float64 {
		first, _ := slices.BinarySearch(lags, from)
		last, _ := slices.BinarySearch(lags, to)
		return float64(last - first)
	}
	step := 1 + t.width/4
	end := min(float64(longestInterval), limit/(1+4*t.width))
	for every := float64(shortestInterval); every < end; every *= step {
		w := t.width
		within := between(every*(1-w), every*(1+w))
		chance := (between(every*(1-4*w), every*(1-2*w)) + between(every*(1+2*w), every*(1+4*w))) / 2
		more := within - chance
		if more < minInTrains*float64(asks) || more < minSurprise*math.Sqrt(1.5*max(chance, 1)) {
			continue
		}
		if share == 0 {
			end = min(end, every*(1+2*w)) // the best is near
		}
		if more/float64(asks) > share {
			found, share = t, more/float64(asks)
			first, _ := slices.BinarySearch(lags, every*(1-w))
			found.every = time.Duration(lags[first+int(within)/2])
		}
	}
	return found, share
}

// assign gives each request to the train that was expected at that time, or else to a new
// one.
func (t *train) assign(asks []*record) []int {
	var last [maxTrains]*record
	trains := make([]int, len(asks))
	for i, it := range asks {
		nearest, free := -1, -1
		off := func(n int) float64 { return abs(float64(it.begun-t.from(last[n])) - float64(t.every)) }
		for n := range last {
			switch {
			case last[n] == nil || it.begun-last[n].begun > 2*int64(t.every):
				if free < 0 {
					free = n
				}
			case nearest < 0 || off(n) < off(nearest):
				nearest = n
			}
		}
		if nearest < 0 || free >= 0 && off(nearest) > 1.5*t.width*float64(t.every) {
			nearest = free
		}
		trains[i], last[nearest] = nearest, it
	}
	return trains
}
