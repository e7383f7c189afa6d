package advise

import "time"

const (
	maxTabs   = 4
	minOfTabs = 12 // requests of a client that are looked at
)

// setTabs tells the tabs of a browser apart, which have the same cookies. The requests of
// several tabs, each regular, are not regular together. A client whose requests are regular
// already has one tab.
func (r *route) setTabs() {
	byClient := make(map[uint64][]*record)
	for i := range r.records {
		it := &r.records[i]
		it.tab = it.client
		byClient[it.client] = append(byClient[it.client], it)
	}
	for client, asks := range byClient {
		if len(asks) < minOfTabs {
			continue
		}
		if _, ok := regular(thread{asks: asks}); ok && (asks[0].facts.coarse || !alternates(asks)) {
			continue
		}
		tabs := tabsOf(asks)
		if tabs == nil {
			if t, ok := trainOf(asks); ok {
				tabs = t.assign(asks)
			}
		}
		for i, tab := range tabs {
			asks[i].tab = mix(client, uint64(tab))
		}
	}
}

// alternates reports whether every second request is far more regular than each one: two tabs
// that poll nearly in turn.
func alternates(asks []*record) bool {
	one, _ := spread(asks, 1)
	two, every := spread(asks, 2)
	return one > 4*two && one > every/50
}

// spread returns how far the times from a request to one of those after it are off the usual
// one, on average, and this usual one.
func spread(asks []*record, lag int) (off float64, usual float64) {
	between := timesBetween(asks, lag)
	usual = float64(median(between))
	for _, it := range between {
		off += min(abs(float64(it)-usual), usual)
	}
	return off / float64(len(between)), usual
}

func timesBetween(asks []*record, lag int) []time.Duration {
	var between []time.Duration
	for i := lag; i < len(asks); i++ {
		between = append(between, time.Duration(asks[i].begun-asks[i-lag].begun))
	}
	return between
}

// tabsOf returns the tab of each request. It is nil if no interval was found at which tabs
// poll.
func tabsOf(asks []*record) []int {
	var best []int
	most := len(asks) * 17 / 20
	for _, every := range intervalsOf(asks) {
		if every < shortestInterval || every > longestInterval {
			continue
		}
		if tabs, met := assign(asks, every); met > most {
			best, most = tabs, met
		}
	}
	return best
}

// intervalsOf returns at which intervals several tabs could poll: the usual times from a
// request to the second, third and fourth after it, over all and in the later half, in which
// more tabs may be open.
func intervalsOf(asks []*record) []time.Duration {
	var intervals []time.Duration
	for _, part := range [][]*record{asks, asks[len(asks)/2:], asks[:len(asks)/2]} {
		for lag := 1; lag <= maxTabs; lag++ {
			if between := timesBetween(part, lag); len(between) > 0 {
				intervals = append(intervals, median(between))
			}
		}
	}
	return intervals
}

// assign gives each request to the tab that was expected to poll at that time, or else to a
// new one. It returns how many were expected.
func assign(asks []*record, every time.Duration) (tabs []int, met int) {
	tolerance := float64(every) / 10
	var last [maxTabs]int64
	tabs = make([]int, len(asks))
	for i, it := range asks {
		nearest, free := 0, -1
		off := func(tab int) float64 { return abs(float64(it.begun-last[tab]) - float64(every)) }
		for tab := range last {
			if last[tab] == 0 || it.begun-last[tab] > 2*int64(every) {
				if free < 0 {
					free = tab
				}
				continue
			}
			if last[nearest] == 0 || off(tab) < off(nearest) {
				nearest = tab
			}
		}
		switch {
		case last[nearest] != 0 && off(nearest) <= tolerance:
			met++
		case free >= 0:
			nearest = free
		}
		tabs[i], last[nearest] = nearest, it.begun
	}
	return tabs, met
}

func abs(value float64) float64 { return max(value, -value) }
