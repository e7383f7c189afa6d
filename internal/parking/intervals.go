package parking

import (
	"cmp"
	"container/list"
	"sync"
	"time"
)

// Intervals learns how often pages poll by a timer. A browser that may have an answer in its
// cache sends the requests for one URL in turn, so that the polls of a timer wait in the
// browser while one is parked. Later each of them would get the same news. So such a poll is
// parked for half of an interval, and its answer has the other half for its way: a poll that
// is late because of the one before would make the interval seem longer, and the next one
// even later. The zero value is ready to use.
type Intervals struct {
	mu     sync.Mutex // guards all below and all that is in it
	pages  map[Key]*list.Element
	recent list.List // of *pagePolls; the one that has polled last comes first
}

// pagePolls is what the polls of one browser on one path have in common.
type pagePolls struct {
	key      Key
	interval time.Duration   // 0: not known
	waited   int             // how many polls in a row came as soon as the one before was answered
	polls    [maxTimers]poll // the newest of each URL, in any order
}

// poll is the newest one for a URL.
type poll struct {
	url      Key
	at       time.Time
	answered time.Time // zero: it is not
}

const (
	// firstInterval is taken for the interval of pages that have not polled twice.
	firstInterval = time.Second

	// leastInterval is the shortest that is learned. Several tabs poll in any rhythm.
	leastInterval = 250 * time.Millisecond

	// soon is how long after an answer a poll comes that has waited in the browser. It is
	// not parked, so that the others which wait come soon. If very many come so, they have
	// not waited: the page polls again as soon as it is answered, and has a rest.
	soon      = 40 * time.Millisecond
	maxWaited = 200
	rest      = 5 * time.Second

	maxTimers = 4 // of one page
	maxPages  = 10_000
)

// Next returns how long a poll that comes now may be parked, so that it is answered before
// the page's next one. page stands for the polls of one browser on one path, and url for
// those for one URL. [Intervals.Answered] must follow.
func (s *Intervals) Next(page, url Key) time.Duration {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find(page)
	p.note(url, now)
	switch {
	case p.waited == maxWaited:
		return rest
	case p.waited > 0:
		return 0
	}
	return cmp.Or(p.interval, firstInterval) / 2
}

// Answered notes that the poll has ended.
func (s *Intervals) Answered(page, url Key) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.pages[page]; at != nil {
		if of := at.Value.(*pagePolls).newest(url); of.url == url {
			of.answered = now
		}
	}
}

// find returns a page, which is the one that has polled last.
func (s *Intervals) find(key Key) *pagePolls {
	if at := s.pages[key]; at != nil {
		s.recent.MoveToFront(at)
		return at.Value.(*pagePolls)
	}
	if s.pages == nil {
		s.pages = make(map[Key]*list.Element)
	}
	if len(s.pages) == maxPages {
		delete(s.pages, s.recent.Remove(s.recent.Back()).(*pagePolls).key)
	}
	p := &pagePolls{key: key}
	s.pages[key] = s.recent.PushFront(p)
	return p
}

// newest returns the newest poll for a URL, or the one to be forgotten for it.
func (p *pagePolls) newest(url Key) *poll {
	oldest := &p.polls[0]
	for i := range p.polls {
		if of := &p.polls[i]; of.url == url {
			return of
		} else if of.at.Before(oldest.at) {
			oldest = of
		}
	}
	return oldest
}

// note learns from a poll. One that was late, or could not be sent in between, must not make
// the interval much longer: browsers slow down the timers of pages that are hidden, and go on
// as before when they are shown.
func (p *pagePolls) note(url Key, now time.Time) {
	before := p.newest(url)
	defer func() { *before = poll{url: url, at: now} }()
	if before.url != url {
		return
	}
	if !before.answered.IsZero() && now.Sub(before.answered) <= soon {
		p.waited = min(p.waited+1, maxWaited)
		return
	}
	p.waited = 0
	interval := max(now.Sub(before.at), leastInterval)
	if p.interval > 0 {
		interval = min(interval, p.interval*9/8)
	}
	p.interval = interval
}
