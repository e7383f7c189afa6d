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
	cookies int // how many came
	at      time.Time

	traces []trace

	crowd bool // too many polls seem to be of its browser
	spare int  // how many polls may still settle that are only possibly of its browser
}

const (
	// mostOfBrowser is how many polls of one browser may be under way. If there are more,
	// they are of several browsers that have the same cookies.
	mostOfBrowser = 16

	// mostPossible is how many polls settle after a page load that are only possibly of
	// its browser, so that a crowd which looks alike is not disturbed by each other's
	// pages.
	mostPossible = 8
)

// Loaded notes that a browser loads a page, which begins with nothing: from now on no
// memory of the browser holds a poll, and the polls that wait end. If ahead is true, the
// page may never be shown, and polls do not end.
func (s *Store) Loaded(browser Browser, ahead bool) *Load {
	metrics.PageLoads.Inc()
	load := &Load{store: s, browser: browser, cookies: len(browser.cookies), at: time.Now(), spare: mostPossible}
	ends := s.begin(load)
	if !ahead && len(ends) <= mostOfBrowser {
		for _, end := range ends {
			end()
		}
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
	s.trace(load)
	s.loads = append(s.loads, load)
	s.loadBytes += load.size()
	a := s.looking(load.browser.look)
	if len(a.loads) == maxAlikeLoads {
		a.loads = slices.Delete(a.loads, 0, 1)
	}
	a.loads = append(a.loads, load)
	for _, of := range a.series {
		if compare(load.browser.cookies, of.cookies) != same {
			continue
		}
		of.fresh++
		of.alone = load.at
		for i := range of.memories {
			of.memories[i].doubt = true
		}
		for _, p := range of.polls {
			p.doubt = true
			ends = append(ends, p.end)
		}
	}
	load.crowd = len(ends) > mostOfBrowser
	return ends
}

// Answered notes the header of the document: which cookies it sets.
func (l *Load) Answered(header http.Header) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.browser.cookies = set(l.browser.cookies, header)
}

// size returns how many bytes a page load takes, with all the cookies that came with it.
func (l *Load) size() int { return bytesOfLoad + bytesOfCookie*l.cookies + bytesOfTrace*len(l.traces) }

// loaded returns how many pages a browser has loaded a short time ago.
func (a *alike) loaded(browser Browser) (n int) {
	for _, l := range a.loads {
		if compare(l.browser.cookies, browser.cookies) == same {
			n++
		}
	}
	return n
}

// settles returns the time at which a browser has last loaded a page, if that was a short
// time ago. The caller holds mu.
func (s *Store) settles(browser Browser, now time.Time) (since time.Time) {
	s.forgetLoads(now)
	for _, l := range slices.Backward(s.alike[browser.look].loads) {
		switch likeness := compare(l.browser.cookies, browser.cookies); {
		case likeness == same && !l.crowd:
			return l.at
		case likeness != different && l.spare > 0 && l.browser.onSamePage(browser):
			l.spare--
			return l.at
		}
	}
	return s.settlesElsewhere(browser)
}

// forgetLoads removes the page loads that do not matter any more. The caller holds mu.
func (s *Store) forgetLoads(now time.Time) {
	for len(s.loads) > 0 && (now.Sub(s.loads[0].at) > settling || len(s.loads) > maxLoads || s.loadBytes > maxLoadBytes) {
		oldest := s.loads[0]
		s.loadBytes -= oldest.size()
		s.loads[0] = nil
		s.loads = s.loads[1:]
		s.untrace(oldest)
		if a := s.alike[oldest.browser.look]; a != nil && len(a.loads) > 0 && a.loads[0] == oldest {
			a.loads = slices.Delete(a.loads, 0, 1)
			s.tidy(oldest.browser.look, a)
		}
	}
}
