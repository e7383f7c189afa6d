// Package memory remembers what parker has given to each client, so that a poll can be held
// whose answer the client has already, though its request does not say so.
//
// Each answer that was given is one memory of a [series]: the polls of one client for one
// thing. Several pages of one browser have one series, and nothing shows which of them
// polls. So a poll is held only if all memories that the series has at that time are of the
// present answer. Such a poll uses one memory up, and its answer is the next one. Any other
// poll uses none up, because it is not known which: a series may have too many memories for
// a while, but never too few. Those that no page has any more are forgotten when each page
// has probably polled.
//
// The package also notices when a browser loads a page, because that begins with nothing.
package memory

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// Digest stands for an answer. The zero Digest stands for one that is not known, and equals
// no other.
type Digest [16]byte

// Key stands for a client and what it asks for.
type Key [32]byte

const (
	// A memory lives for three of the pauses that the client usually makes between an
	// answer and its next poll, within these bounds. After that, its page has probably
	// ended.
	pauses    = 3
	leastLife = 2 * time.Second
	mostLife  = time.Minute

	// A browser makes the polls of its pages for one URL wait for each other, and keeps one
	// answer for all of them. So a new answer may be followed by the polls of pages that do
	// not have it, though their browser does: each comes soon after the one before was
	// answered. So many at most, because those of a page that does not pause come soon, too.
	followSoon = time.Second
	maxFollows = 8

	// A poll that may as well be the next one of the page which got the answer comes after a
	// pause. So it follows only within this time, or if only one page seems to poll, before
	// seven tenths of the usual pause.
	followAtOnce = 500 * time.Millisecond

	// longestPause is how long memories are kept to find out the usual pause, and as long
	// as it is not known.
	longestPause = 2 * time.Minute

	// settling is how long after a page load the polls of its browser are held for
	// [Settling] at most.
	settling = 10 * time.Second

	// How many memories a series has at most, of one answer and of all.
	maxOfAnswer = 8
	maxOfSeries = 32

	// The bounds of all memories and page loads together. The oldest are forgotten first.
	maxMemories = 100_000
	maxBytes    = 64 << 20
	maxLoads    = 50_000

	maxLoadBytes = 16 << 20

	// The bounds of what browsers that look alike have, so that none of them makes the
	// others slow.
	maxAlike      = 1_000
	maxAlikeLoads = 256
)

// Settling is how long polls are held at most while the pages of their browser load, and
// while its memories differ. In some browsers the polls of a new page wait until those of
// another one are answered.
const Settling = 250 * time.Millisecond

// Store holds the memories of a process. The zero value is ready to use.
type Store struct {
	mu       sync.Mutex // guards all below and all that is in it
	all      map[id]*series
	alike    map[look]*alike
	recent   list.List // of *series with memories; the one that was used last comes first
	loads    []*Load   // in order
	traced   map[trace][]*Load
	memories int // that no poll uses
	used     int // that polls use
	bytes    int

	loadBytes int // of loads
}

// alike holds what browsers that look alike have.
type alike struct {
	series []*series
	loads  []*Load // recent ones, in order
}

// series is the polls of one client for one thing.
type series struct {
	id       id
	cookies  []cookie // of the browser, as its last poll has shown them
	memories []given  // that no poll uses, oldest first
	polls    []*Poll
	usual    time.Duration // the pause before a poll; 0: not known
	fresh    int           // pages that were loaded, and may not have polled yet
	last     time.Time     // when a poll has begun or was answered
	alone    time.Time     // since when polls come as those of one page
	latest   Digest        // the answer that was given last
	changed  time.Time     // when it was given first
	answered time.Time     // when an answer was given last
	follows  int           // how many more polls may have waited in the browser for a new answer
	at       *list.Element // in the store's recent series; nil without memories
}

// id identifies a series.
type id struct {
	look look
	key  Key
}

// given is an answer that a page has.
type given struct {
	answer Digest
	at     time.Time
	doubt  bool // the browser has loaded a page since, or the client has left
}

// life returns how long a memory of the series lives.
func (s *series) life() time.Duration { return min(max(pauses*s.usual, leastLife), mostLife) }

// followed reports whether a poll may have waited in its browser for the answer to another
// one, which was new. It may be the next one of the page that got the answer if only one page
// seems to poll, or if pages poll by a timer: then the time does not begin anew with each.
func (s *series) followed(now time.Time, alone, newest bool) bool {
	since, soon := now.Sub(s.answered), followSoon
	switch {
	case newest:
		since, soon = now.Sub(s.changed), followAtOnce
	case alone:
		soon = min(max(followAtOnce, s.usual*7/10), followSoon)
	}
	if since > soon {
		s.follows = 0
	}
	if s.follows == 0 {
		return false
	}
	s.follows--
	return true
}

// kept returns how long a memory is kept: until each page has probably polled.
func (s *series) kept() time.Duration {
	if s.usual == 0 {
		return longestPause
	}
	return s.life()
}

// learn notes the pause before a poll that begins now. Pages that pause for longer than
// others must not be forgotten, so the usual pause grows faster than it shrinks.
func (s *series) learn(now time.Time) {
	pause, ok := s.pause(now)
	switch {
	case !ok:
	case s.usual == 0:
		s.usual = max(pause, 1)
	case pause > s.usual:
		s.usual = (s.usual + pause) / 2
	default:
		s.usual = (15*s.usual + pause) / 16
	}
}

// pause returns the time since the page that polls now was probably answered: the one with
// the oldest memory, or if all are too old, that with the newest. ok is false if pages have
// different answers.
func (s *series) pause(now time.Time) (pause time.Duration, ok bool) {
	var newest Digest
	for _, m := range slices.Backward(s.memories) {
		age := now.Sub(m.at)
		switch {
		case m.doubt || age > longestPause:
			continue
		case !ok:
			newest = m.answer
		case age > s.kept():
			return pause, true
		case m.answer != newest:
			return 0, false
		}
		pause, ok = age, true
	}
	return pause, ok
}

// isAlone reports whether only one page polls, which has just begun a poll: for so long that any
// other page would have polled too, no poll has begun before another one was answered, or a
// short time after that. With newest, polls need not be answered.
func (s *series) isAlone(now time.Time, newest bool) bool {
	if s.usual == 0 || now.Sub(s.last) < s.usual*7/10 || len(s.polls) > 1 && !newest {
		s.alone = now
	}
	s.last = now
	return now.Sub(s.alone) > s.kept()
}

// agreed returns the answer that all memories are of. ok is false if there is none, or all
// are in doubt or of a time before since, so that no page which has it probably goes on.
func (s *series) agreed(since time.Time) (answer Digest, ok bool) {
	for _, m := range s.memories {
		if m.answer != s.memories[0].answer {
			return Digest{}, false
		}
		answer, ok = m.answer, ok || !m.doubt && !m.at.Before(since)
	}
	return answer, ok
}

// The sizes of what is remembered, in bytes.
const (
	bytesOfSeries = 524 // with the maps and lists that hold it
	bytesOfCookie = 16
	bytesOfMemory = 128 // with what its slice has room for
	bytesOfLoad   = 300
	bytesOfTrace  = 100
)

// find returns a series, or nil if there are too many. The caller holds mu.
func (s *Store) find(key Key, browser Browser) *series {
	if s.all == nil {
		s.all, s.alike = make(map[id]*series), make(map[look]*alike)
	}
	id := id{browser.look, key}
	of := s.all[id]
	if of == nil {
		a := s.looking(id.look)
		if len(a.series) == maxAlike && !s.dropOldest(a) {
			return nil
		}
		of = &series{id: id}
		s.all[id] = of
		s.bytes += bytesOfSeries
		a.series = append(a.series, of)
		of.fresh = a.loaded(browser)
	}
	if of.at != nil {
		s.recent.MoveToFront(of.at)
	}
	s.setCookies(of, browser.cookies)
	return of
}

func (s *Store) setCookies(of *series, cookies []cookie) {
	s.bytes += bytesOfCookie * (len(cookies) - len(of.cookies))
	of.cookies = cookies
}

func (s *Store) looking(l look) *alike {
	a := s.alike[l]
	if a == nil {
		a = new(alike)
		s.alike[l] = a
	}
	return a
}

// add adds a memory. The caller holds mu.
func (s *Store) add(of *series, m given) {
	s.makeRoom(of, m.answer)
	of.memories = append(of.memories, m)
	s.memories++
	s.bytes += bytesOfMemory
	if of.at == nil {
		of.at = s.recent.PushFront(of)
	} else {
		s.recent.MoveToFront(of.at)
	}
	s.forgetOld(m.at)
}

// makeRoom removes the oldest memory of an answer that has very many, or else the oldest of
// very many. The caller holds mu.
func (s *Store) makeRoom(of *series, answer Digest) {
	same, oldest := 0, 0
	for i, m := range slices.Backward(of.memories) {
		if m.answer == answer {
			same, oldest = same+1, i
		}
	}
	if same == maxOfAnswer {
		s.remove(of, oldest)
	} else if len(of.memories) == maxOfSeries {
		s.remove(of, 0)
	}
}

// remove removes a memory. The caller holds mu.
func (s *Store) remove(of *series, i int) {
	of.memories = append(of.memories[:i], of.memories[i+1:]...)
	s.memories--
	s.bytes -= bytesOfMemory
	if len(of.memories) == 0 {
		s.recent.Remove(of.at)
		of.at = nil
	}
}

// forget removes the memories that are older than age. The caller holds mu.
func (s *Store) forget(of *series, age time.Duration, now time.Time) {
	for len(of.memories) > 0 && now.Sub(of.memories[0].at) > age {
		s.remove(of, 0)
	}
}

// forgetOld removes what has not been used for long, and the oldest of what is over the
// bounds. Series whose polls are parked have no memories, however many they are, so this is
// never a walk over them. The caller holds mu.
func (s *Store) forgetOld(now time.Time) {
	s.forgetUnused(2, now)
	for s.recent.Len() > 0 && (s.memories > maxMemories || s.bytes > maxBytes) {
		oldest := s.recent.Back().Value.(*series)
		for len(oldest.memories) > 0 {
			s.remove(oldest, 0)
		}
		s.drop(oldest)
	}
}

// forgetUnused removes up to so many series that have not been used for long. It reports
// whether there may be more. The caller holds mu.
func (s *Store) forgetUnused(most int, now time.Time) bool {
	for range most {
		last := s.recent.Back()
		if last == nil {
			return false
		}
		oldest := last.Value.(*series)
		s.forget(oldest, longestPause, now)
		if len(oldest.memories) > 0 {
			return false
		}
		s.drop(oldest)
	}
	return true
}

// Count returns how many answers are remembered, also those that parked polls use. It first
// forgets those that are too old, because otherwise only polls do that.
func (s *Store) Count() int {
	const atOnce = 100 // so that no poll waits long for the lock
	for now := time.Now(); ; {
		s.mu.Lock()
		more := s.forgetUnused(atOnce, now)
		count := s.memories + s.used
		s.mu.Unlock()
		if !more {
			return count
		}
	}
}

// drop removes a series that has neither memories nor polls, unless it was removed already.
// The caller holds mu.
func (s *Store) drop(of *series) {
	if len(of.memories)+len(of.polls) > 0 || s.all[of.id] != of {
		return
	}
	delete(s.all, of.id)
	s.setCookies(of, nil)
	s.bytes -= bytesOfSeries
	a := s.alike[of.id.look]
	a.series = slices.DeleteFunc(a.series, func(other *series) bool { return other == of })
	s.tidy(of.id.look, a)
}

// dropOldest removes the oldest series of browsers that look alike which has no polls. It
// returns false if all have. The caller holds mu.
func (s *Store) dropOldest(a *alike) bool {
	for _, of := range a.series {
		if len(of.polls) > 0 {
			continue
		}
		for len(of.memories) > 0 {
			s.remove(of, 0)
		}
		s.drop(of)
		return true
	}
	return false
}

func (s *Store) tidy(l look, a *alike) {
	if len(a.series)+len(a.loads) == 0 {
		delete(s.alike, l)
	}
}
