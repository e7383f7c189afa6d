package advise

import (
	"math"
	"slices"
	"time"
)

// minPolls is how many requests at regular intervals make a poll.
const minPolls = 6

// Limits of what counts as a poll.
const (
	shortestInterval = 100 * time.Millisecond
	longestInterval  = 2 * time.Minute
	heldFor          = 5 * time.Second // an answer that takes longer was held by the backend
)

// Waiting says whether a page polls again only after the answer.
type Waiting string

const (
	ByTimer        Waiting = "timer" // it does not wait for the answer
	AfterAnswer    Waiting = "waits"
	WaitingUnknown Waiting = "" // nothing seen that distinguishes the two
)

// thread is what one tab of a client asks for one thing, in order of time.
type thread struct {
	client uint64
	key    uint64 // of the thing: the values of its fields that tell rooms or users apart
	asks   []*record
}

// threadsOf sorts the requests of a route by tab and by what they ask for.
func threadsOf(r *route) []thread {
	type id struct {
		tab, key uint64
	}
	index := make(map[id]int)
	var threads []thread
	names := r.fieldsOf(KeyRole)
	for i := range r.records {
		it := &r.records[i]
		at := id{it.tab, keyOf(it, names)}
		position, found := index[at]
		if !found {
			position = len(threads)
			index[at] = position
			threads = append(threads, thread{client: it.client, key: at.key})
		}
		threads[position].asks = append(threads[position].asks, it)
	}
	return threads
}

// keyOf returns a digest of the values of fields of a request.
func keyOf(it *record, names []int) uint64 {
	key := uint64(0)
	for _, name := range names {
		value, _ := it.field(name)
		key = mix(key, value)
	}
	return key
}

// rhythm is how the clients of a route ask.
type rhythm struct {
	asks    int // by clients that ask regularly
	clients int
	every   time.Duration // between the beginnings of two requests, usually
	took    time.Duration // usually
	waiting Waiting
	overlap int // requests that came before the answer to the last one
	active  time.Duration
}

func rhythmOf(threads []thread) rhythm {
	var all rhythm
	var intervals, tooks []time.Duration
	var offTimer, offAnswer float64
	clients := make(map[uint64]bool)
	for _, t := range threads {
		own, ok := regular(t)
		if !ok {
			continue
		}
		clients[t.client] = true
		all.asks += len(t.asks)
		all.active += time.Duration(t.asks[len(t.asks)-1].begun - t.asks[0].begun)
		intervals = append(intervals, own.intervals...)
		tooks = append(tooks, own.tooks...)
		offTimer += own.offTimer
		offAnswer += own.offAnswer
		all.overlap += own.overlap
	}
	all.clients = len(clients)
	if len(intervals) == 0 {
		return all
	}
	all.every, all.took = median(intervals), median(tooks)
	switch {
	case slices.ContainsFunc(threads, func(t thread) bool { return t.asks[0].facts.coarse }):
	case all.overlap*20 > len(intervals) && offTimer < offAnswer:
		all.waiting = ByTimer
	case offTimer+offAnswer < float64(time.Millisecond)*float64(len(intervals)):
		if len(intervals) >= enoughIntervals && exact(threads) {
			all.waiting = byInterval(all.every, all.took)
		}
	case offTimer*2 < offAnswer:
		all.waiting = ByTimer
	case offAnswer*2 < offTimer:
		all.waiting = AfterAnswer
	}
	return all
}

const (
	enoughIntervals = 20
	timerStep       = 50 * time.Millisecond // the intervals of timers are multiples of it
)

// byInterval says whether a page waits for its answer, if the answer always takes about the
// same time. The timers of browsers do not drift, so the usual interval of a page that does not
// wait is that of the timer, and that of a page that waits is longer by at least the answer.
func byInterval(every, took time.Duration) Waiting {
	longer := every - every.Round(timerStep)
	switch {
	case took < 2*time.Millisecond:
	case longer.Abs() <= 400*time.Microsecond:
		return ByTimer
	case longer >= took*7/10 && longer <= took+timerStep/4:
		return AfterAnswer
	}
	return WaitingUnknown
}

// exact reports whether the times are not those of a log with full milliseconds or seconds.
func exact(threads []thread) bool {
	for _, t := range threads {
		for _, it := range t.asks {
			if it.begun%int64(time.Millisecond) != 0 {
				return true
			}
		}
	}
	return false
}

// pace is that of one client: offTimer and offAnswer are by how much the intervals between the
// beginnings, and the pauses after the answers, are off their median, in all.
type pace struct {
	intervals, tooks    []time.Duration
	offTimer, offAnswer float64
	overlap             int
}

// regular reports whether a client asks at regular intervals, or regularly after each
// answer.
func regular(t thread) (pace, bool) {
	if len(t.asks) < 4 {
		return pace{}, false
	}
	if t.asks[0].facts.coarse && len(t.asks) > minOfCoarse {
		if own, ok, is := regularInSteps(t); is {
			return own, ok
		}
	}
	var own pace
	var pauses []time.Duration
	for i := 1; i < len(t.asks); i++ {
		last, next := t.asks[i-1], t.asks[i]
		own.intervals = append(own.intervals, time.Duration(next.begun-last.begun))
		own.tooks = append(own.tooks, last.took)
		pauses = append(pauses, time.Duration(next.begun-last.end()))
		if next.begun < last.end() {
			own.overlap++
		}
	}
	every, pause := median(own.intervals), median(pauses)
	if every < shortestInterval || every > longestInterval {
		return pace{}, false
	}
	near := 0
	for i := range own.intervals {
		timer, answer := off(own.intervals[i], every), off(pauses[i], pause)
		if min(timer, answer) <= float64(every)/5 {
			near++
			own.offTimer += timer
			own.offAnswer += answer
		}
	}
	return own, near*10 >= len(own.intervals)*7
}

// minOfCoarse is how many requests are needed to see an interval through a clock with long
// steps: many of them are looked at together.
const minOfCoarse = 2 * coarseGroup

const (
	coarseGroup = 8
	coarseStep  = time.Second // of the clocks of logs
)

// regularInSteps is regular for times in full seconds, where the intervals of two requests
// differ by up to a second. It looks at how long several take. is is false if the intervals are
// so long that this does not matter.
func regularInSteps(t thread) (own pace, ok, is bool) {
	groups := timesBetween(t.asks, coarseGroup)
	every := median(groups) / coarseGroup
	if every >= 5*coarseStep {
		return pace{}, false, false
	}
	if every < coarseStep/2 {
		return pace{}, false, true
	}
	near := 0
	for _, group := range groups {
		if off(group/coarseGroup, every) <= max(float64(every)/10, float64(coarseStep)/coarseGroup) {
			near++
		}
	}
	for i := 1; i < len(t.asks); i++ {
		own.intervals = append(own.intervals, every)
		own.tooks = append(own.tooks, t.asks[i-1].took)
	}
	return own, near*10 >= len(groups)*7, true
}

func off(value, usual time.Duration) float64 { return math.Abs(float64(value - usual)) }

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
