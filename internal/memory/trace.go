package memory

import (
	"slices"
	"time"
)

// trace is what a browser shows at each address: one of its cookies that is probably no other
// browser's. A browser has several addresses if its requests come through several proxies that
// Caddy does not trust, or over IPv4 and IPv6.
type trace struct {
	agent  uint64
	cookie cookie
}

// How many cookies of a page load are followed, and how many page loads with one cookie.
const (
	maxTraces      = 8
	maxTracedLoads = 16
)

// tracesOf returns what a browser shows at each address.
func tracesOf(browser Browser) (traces []trace) {
	for _, c := range browser.cookies {
		if c.isOwn() && len(traces) < maxTraces {
			traces = append(traces, trace{browser.agent, c})
		}
	}
	return traces
}

// trace makes a page load known at other addresses. The caller holds mu.
func (s *Store) trace(load *Load) {
	load.traces = tracesOf(load.browser)
	if s.traced == nil {
		s.traced = make(map[trace][]*Load)
	}
	for _, t := range load.traces {
		loads := s.traced[t]
		if len(loads) == maxTracedLoads {
			loads = slices.Delete(loads, 0, 1)
		}
		s.traced[t] = append(loads, load)
	}
}

// untrace undoes trace. The caller holds mu.
func (s *Store) untrace(load *Load) {
	for _, t := range load.traces {
		loads := slices.DeleteFunc(s.traced[t], func(other *Load) bool { return other == load })
		if len(loads) == 0 {
			delete(s.traced, t)
		} else {
			s.traced[t] = loads
		}
	}
}

// settlesElsewhere returns the time at which a browser has last loaded a page from another
// address, if that was a short time ago. Long values may be common to strangers, too, such as
// a time zone or a consent, so it is only possibly the same browser. The caller holds mu.
func (s *Store) settlesElsewhere(browser Browser) (since time.Time) {
	if len(s.traced) == 0 {
		return since
	}
	for _, t := range tracesOf(browser) {
		for _, l := range slices.Backward(s.traced[t]) {
			if compare(l.browser.cookies, browser.cookies) == same && l.spare > 0 {
				l.spare--
				return l.at
			}
		}
	}
	return since
}
