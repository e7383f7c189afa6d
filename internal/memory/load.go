package memory

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-parker/parker/internal/metrics"
)

// Load is a page load.
type Load struct {
	store   *Store
	browser Browser
	at      time.Time
}

// Loaded notes that a browser loads a page, which begins with nothing: from now on no
// memory of the browser holds a poll, and the polls that wait end.
func (s *Store) Loaded(browser Browser) *Load {
	metrics.PageLoads.Inc()
	load := &Load{store: s, browser: browser, at: time.Now()}
	for _, end := range s.begin(load) {
		end()
	}
	return load
}

// begin adds a page load, and returns what ends the polls of its browser.
func (s *Store) begin(load *Load) (ends []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all, s.alike = make(map[id]*series), make(map[look]*alike)
	}
	s.forgetLoads(load.at)
	s.loads = append(s.loads, load)
	a := s.looking(load.browser.look)
	if len(a.loads) == maxAlikeLoads {
		a.loads = slices.Delete(a.loads, 0, 1)
	}
	a.loads = append(a.loads, load)
	for _, of := range a.series {
		if !maybeSame(load.browser.cookies, of.cookies) {
			continue
		}
		for i := range of.memories {
			of.memories[i].doubt = true
		}
		for _, p := range of.polls {
			p.doubt, p.settles = true, true
			ends = append(ends, p.end)
		}
	}
	return ends
}

// Answered notes the header of the document: which cookies it sets.
func (l *Load) Answered(header http.Header) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.browser.cookies = without(l.browser.cookies, header)
}

// settles reports whether a browser has loaded a page a short time ago. The caller holds mu.
func (s *Store) settles(browser Browser, now time.Time) bool {
	s.forgetLoads(now)
	a := s.alike[browser.look]
	return slices.ContainsFunc(a.loads, func(l *Load) bool { return maybeSame(l.browser.cookies, browser.cookies) })
}

// forgetLoads removes the page loads that do not matter any more. The caller holds mu.
func (s *Store) forgetLoads(now time.Time) {
	for len(s.loads) > 0 && (now.Sub(s.loads[0].at) > settling || len(s.loads) > maxLoads) {
		oldest := s.loads[0]
		s.loads[0] = nil
		s.loads = s.loads[1:]
		if a := s.alike[oldest.browser.look]; a != nil && len(a.loads) > 0 && a.loads[0] == oldest {
			a.loads = slices.Delete(a.loads, 0, 1)
			s.tidy(oldest.browser.look, a)
		}
	}
}
