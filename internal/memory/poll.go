package memory

import (
	"net/http"
	"slices"
	"time"
)

// Poll is one poll of a client. Its methods do nothing on a nil Poll, which is one of a
// client that cannot be told apart.
type Poll struct {
	store  *Store
	series *series
	at     int // its index among the polls of the series; -1: it has ended
	end    func()

	remembers bool
	tells     bool // the client says what it has
	known     bool // the client has had an answer before
	doubt     bool // the browser has loaded a page since the poll began
	differ    bool // the memories of the series differ, so none is used
	follows   bool // another page of the browser may just have got another answer

	since time.Time // the pages of older memories have probably ended

	loaded time.Time // when it has last loaded a page, if that was a short time ago

	uses   bool   // the poll uses a memory of answer
	lent   bool   // a newer poll has taken its place, and that memory
	answer Digest // that the client has

	gave time.Time // when the client was given an answer; zero: it was not
}

// Request is what a [Poll] begins with.
type Request struct {
	Browser Browser
	Key     Key

	// Remembers is false if only page loads matter to the poll.
	Remembers bool

	// Conditional is true if the client says what it has, so that an answer is another one.
	Conditional bool

	// Newest is true if the poll takes the place of the series' older ones.
	Newest bool

	// Moved is true if the poll goes on for one of an older configuration: From, which may
	// be nil.
	Moved bool
	From  *Poll

	// End is called when the browser loads a page. It must not wait.
	End func()
}

// Begin notes that a poll has come. [Poll.Close] must follow. It returns nil if too many
// browsers look like this one.
func (s *Store) Begin(q Request) *Poll {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.find(q.Key, q.Browser)
	if of == nil {
		if q.From != nil {
			q.From.close()
		}
		return nil
	}
	p := &Poll{store: s, series: of, end: q.End, remembers: q.Remembers, tells: q.Conditional}
	p.loaded = s.settles(q.Browser, now)
	if q.Newest {
		for _, older := range of.polls {
			older.lend(now)
		}
	}
	p.at = len(of.polls)
	of.polls = append(of.polls, p) // before another one of the series ends, or that is dropped
	switch {
	case q.Moved:
		p.takeOver(q.From)
	case q.Remembers:
		p.use(now, q.Newest)
	}
	return p
}

// use uses up the oldest memory of the series, if they are all of one answer. The caller
// holds the store's lock.
func (p *Poll) use(now time.Time, newest bool) {
	s, of := p.store, p.series
	alone := of.isAlone(now, newest)
	usual, life := of.usual, of.life() // without the pause before this poll: perhaps the page has ended meanwhile
	p.follows = of.followed(now, alone, newest)
	if p.loaded.IsZero() {
		of.fresh = 0
		if !p.follows || now.Sub(of.answered) > followAtOnce {
			of.learn(now)
		}
	}
	if usual == 0 {
		life = of.life()
	}
	p.since = now.Add(-life)
	s.forget(of, of.kept(), now)
	if alone {
		of.fresh = 0
		for len(of.memories) > 1 {
			s.remove(of, 0)
		}
	}
	if p.known = len(of.memories) > 0; !p.known {
		of.fresh = max(of.fresh-1, 0)
		return
	}
	if p.answer, p.uses = of.agreed(p.since); !p.uses {
		p.differ = true
		return
	}
	s.used++
	if of.fresh > 0 { // perhaps it is the first poll of a page
		of.fresh--
		return
	}
	s.remove(of, 0)
}

// disuse ends the use of the poll's memory. It reports whether the poll used one. The caller
// holds the store's lock.
func (p *Poll) disuse() bool {
	if !p.uses {
		return false
	}
	p.uses = false
	p.store.used--
	return true
}

// lend gives the poll's memory back before its client has been answered. The caller holds
// the store's lock.
func (p *Poll) lend(now time.Time) {
	if p.disuse() {
		p.lent = true
		p.store.add(p.series, given{p.answer, now, p.doubt})
	}
}

// Settles reports whether the poll may be held for [Settling] only.
func (p *Poll) Settles() bool { return p != nil && (p.differ || !p.loaded.IsZero()) }

// Loaded returns when the browser has last loaded a page, if that was a short time ago, and
// otherwise the zero time.
func (p *Poll) Loaded() (at time.Time) {
	if p == nil {
		return at
	}
	return p.loaded
}

// Remembers reports whether the client is one of which is remembered what it has.
func (p *Poll) Remembers() bool { return p != nil && p.remembers }

// Known reports whether anything was known of what the client has when the poll began.
func (p *Poll) Known() bool { return p != nil && p.known }

// Has reports whether the client certainly has an answer. If the memories of its series
// differ, it probably has the answer that one of them is of: then the poll may be held for
// [Settling]. Otherwise a page that polls in a loop would ask without a pause until the
// others are forgotten.
func (p *Poll) Has(answer Digest) bool {
	if p == nil {
		return false
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if p.differ {
		return !p.follows && answer != Digest{} && slices.ContainsFunc(p.series.memories, func(m given) bool { return m.answer == answer && !m.doubt && !m.at.Before(p.since) })
	}
	return (p.uses || p.lent) && !p.follows && answer == p.answer && answer != Digest{}
}

// Follows reports whether the poll may be one of a page that does not have the answer which
// its browser has.
func (p *Poll) Follows() bool { return p != nil && p.follows }

// SetsCookies notes the header of an answer that the client is given.
func (p *Poll) SetsCookies(header http.Header) {
	if p == nil || len(header["Set-Cookie"]) == 0 {
		return
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.setCookies(p.series, set(p.series.cookies, header))
}

// Gave notes that the client is given an answer.
func (p *Poll) Gave(answer Digest) {
	if p == nil {
		return
	}
	s, of := p.store, p.series
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.remembers {
		return
	}
	now := time.Now()
	if answer != of.latest {
		if of.latest != (Digest{}) || p.tells {
			of.follows = maxFollows
		}
		of.latest, of.changed = answer, now
	}
	of.answered = now
	if p.lent {
		return // the newer poll is one of the same page, as far as is known
	}
	p.give(given{answer, now, p.doubt})
}

// give adds the memory of an answer that the client is given. The caller holds the store's
// lock.
func (p *Poll) give(m given) {
	p.disuse()
	of := p.series
	if of.last = m.at; len(of.polls) > 1 {
		of.alone = m.at
	}
	p.gave = m.at
	p.store.add(of, m)
}

// Kept notes that the client is given an answer that says that it has all: what it had
// before.
func (p *Poll) Kept() {
	if p == nil {
		return
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.series.answered = time.Now()
	if p.uses {
		p.give(given{p.answer, p.series.answered, p.doubt})
	}
}

// takeOver makes the poll go on for another one, which ends. The caller holds the store's
// lock.
func (p *Poll) takeOver(from *Poll) {
	if from == nil {
		return
	}
	if p.series == from.series && p.remembers {
		p.known, p.differ, p.since, p.doubt = from.known, from.differ, from.since, from.doubt
		p.uses, p.lent, p.answer, p.follows = from.uses, from.lent, from.answer, from.follows
		from.uses = false
	}
	from.close()
}

// Close ends the poll. If its client was not answered, the page has probably ended. If the
// client has left, it may not have got its answer.
func (p *Poll) Close(left bool) {
	if p == nil {
		return
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if left && !p.gave.IsZero() {
		for i, m := range p.series.memories {
			if m.at.Equal(p.gave) {
				p.series.memories[i].doubt = true
			}
		}
	}
	p.close()
}

// close is Close for a caller that holds the store's lock.
func (p *Poll) close() {
	s, of := p.store, p.series
	if p.at < 0 {
		return
	}
	last := len(of.polls) - 1
	of.polls[p.at] = of.polls[last]
	of.polls[p.at].at = p.at
	of.polls[last] = nil
	of.polls, p.at = of.polls[:last], -1
	if p.disuse() {
		s.add(of, given{p.answer, time.Now(), true})
	}
	s.drop(of)
}
