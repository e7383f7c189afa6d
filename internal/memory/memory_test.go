package memory

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// client polls for one thing.
type client struct {
	*testing.T
	store *Store
	Request
}

// inBubble runs a test with a client in virtual time.
func inBubble(t *testing.T, test func(c *client)) {
	synctest.Test(t, func(t *testing.T) {
		test(&client{t, new(Store), Request{Browser: browserWith("id=1"), Key: Key{1}, Remembers: true, End: func() {}}})
	})
}

func (c *client) begin() *Poll { return c.store.Begin(c.Request) }

// gives ends a poll with an answer.
func gives(p *Poll, answer string) {
	p.Gave(digestOf(answer))
	p.Close(false)
}

// is checks whether a poll may be held with an answer for as long as configured.
func (c *client) is(held bool, p *Poll, answer, when string) {
	c.Helper()
	if got := p.Has(digestOf(answer)) && !p.Settles(); got != held {
		c.Errorf("%s: that a poll may be held with %s is %v", when, answer, got)
	}
}

func TestMemoryLivesForThreePausesBeforePoll(t *testing.T) {
	for _, test := range []struct{ pause, life time.Duration }{
		{100 * time.Millisecond, leastLife},
		{time.Second, 3 * time.Second},
		{5 * time.Second, 15 * time.Second},
		{50 * time.Second, mostLife},
	} {
		for _, late := range []bool{false, true} {
			inBubble(t, func(c *client) {
				for range 100 {
					gives(c.begin(), "A")
					time.Sleep(test.pause)
				}
				gives(c.begin(), "A")
				time.Sleep(test.life)
				if late {
					time.Sleep(test.life / 10)
				}
				c.is(!late, c.begin(), "A", fmt.Sprintf("with a pause of %v, later than its memory lives: %v", test.pause, late))
			})
		}
	}
}

func TestMemoryLivesForFirstPauseUpToMinute(t *testing.T) {
	for _, late := range []bool{false, true} {
		inBubble(t, func(c *client) {
			gives(c.begin(), "A")
			time.Sleep(mostLife)
			if late {
				time.Sleep(time.Second)
			}
			c.is(!late, c.begin(), "A", fmt.Sprint("later than a minute: ", late))
		})
	}
}

func TestMemoryLivesForLongerPausesOncePageHasMadeOne(t *testing.T) {
	inBubble(t, func(c *client) {
		for range 5 {
			gives(c.begin(), "A")
			time.Sleep(time.Second)
		}
		gives(c.begin(), "A")
		for i := range 5 {
			time.Sleep(20 * time.Second)
			p := c.begin()
			c.is(i > 0, p, "A", fmt.Sprint("poll ", i))
			gives(p, "A")
		}
	})
}

// Unless pages were loaded, only as many polls are held as answers were given before.
func TestPollUsesMemoryUp(t *testing.T) {
	inBubble(t, func(c *client) {
		first := c.begin()
		second := c.begin()
		gives(first, "A")
		gives(second, "A")
		for i := range 4 {
			c.is(i < 2, c.begin(), "A", fmt.Sprint("poll ", i))
		}
	})
}

func TestNewestPollTakesMemoryOver(t *testing.T) {
	inBubble(t, func(c *client) {
		c.Newest = true
		gives(c.begin(), "A")
		older := c.begin()
		for range 5 {
			time.Sleep(time.Second)
			newer := c.begin()
			c.is(true, older, "A", "an older poll, which ends with what its page has")
			c.is(true, newer, "A", "a newer one")
			gives(older, "A")
			older = newer
		}
	})
}

func TestMovedPollTakesMemoryAlong(t *testing.T) {
	inBubble(t, func(c *client) {
		gives(c.begin(), "A")
		from := c.begin()
		c.Moved, c.From = true, from
		moved := c.begin()
		from.Close(false)
		c.is(true, moved, "A", "in the new configuration")
		c.Moved, c.From = false, nil
		c.is(false, c.begin(), "A", "another poll")
		gives(moved, "A")
		c.Moved = true
		c.is(false, c.begin(), "A", "from a configuration that remembers nothing")
	})
}

func TestPollOfPageThatWasLoadedIsHeldForAMoment(t *testing.T) {
	inBubble(t, func(c *client) {
		gives(c.begin(), "A")
		c.store.Loaded(c.Browser, false).Answered(nil)
		time.Sleep(settling)
		if p := c.begin(); !p.Settles() || !p.Known() {
			t.Errorf("after 10 seconds, settles: %v, known: %v", p.Settles(), p.Known())
		}
		time.Sleep(time.Millisecond)
		if !c.begin().Loaded().IsZero() {
			t.Error("a poll of a page that was loaded long ago is taken for a first one")
		}
	})
}

const long = "0123456789ab" // a session's ID has more

func TestPageLoadIsOfBrowserWithSameCookies(t *testing.T) {
	for _, test := range []struct {
		name        string
		load, polls string
		sets        string // by the document
		pollSets    string // by the answer to the poll
		ends        bool   // the parked poll, at the page load
		settles     bool   // the next poll
	}{
		{name: "the same", load: "id=1; lang=en", polls: "lang=en; id=1", ends: true, settles: true},
		{name: "the same name twice", load: "id=1; id=2", polls: "id=2; id=1", ends: true, settles: true},
		{name: "a long value in common", load: "id=" + long + "; seen=1", polls: "id=" + long + "; seen=2", ends: true, settles: true},
		{name: "a short value in common", load: "id=1; seen=1", polls: "id=1; seen=2"},
		{name: "another session", load: "id=2" + long + "; lang=en", polls: "id=1" + long + "; lang=en"},
		{name: "fewer for the page", load: "lang=en", polls: "id=1; lang=en", settles: true},
		{name: "none for the page", polls: "id=1; lang=en", settles: true},
		{name: "the page sets the cookie", load: "id=1", polls: "id=2", sets: "id=2; Path=/", settles: true},
		{name: "the poll sets the cookie", load: "id=2", polls: "id=1", pollSets: "id=2; HttpOnly", ends: true},
		{name: "another cookie is set", load: "id=2", polls: "id=1", pollSets: "other=2"},
	} {
		inBubble(t, func(c *client) {
			c.Browser = browserWith(test.polls)
			ended := false
			c.End = func() { ended = true }
			c.begin().SetsCookies(http.Header{"Set-Cookie": {test.pollSets}})
			load := c.store.Loaded(browserWith(test.load), false)
			if test.sets != "" {
				load.Answered(http.Header{"Set-Cookie": {test.sets}})
			}
			if settles := c.begin().Settles(); ended != test.ends || settles != test.settles {
				t.Errorf("%s: the parked poll has ended: %v, the next one settles: %v", test.name, ended, settles)
			}
		})
	}
}

// nth makes the client another one.
func (c *client) nth(i int) *client {
	binary.BigEndian.PutUint64(c.Browser.look[:], uint64(i))
	return c
}

// keeps checks how much the store has.
func (c *client) keeps(clients, memories int) {
	c.Helper()
	counted, bytes := 0, 0
	for _, of := range c.store.all {
		counted += len(of.memories)
		bytes += bytesOfSeries + bytesOfCookie*len(of.cookies) + bytesOfMemory*len(of.memories)
	}
	if s := c.store; len(s.all) != clients || counted != memories || s.memories != memories || s.bytes != bytes {
		c.Errorf("%d clients, %d memories and %d bytes, in fact %d and %d; want %d clients, %d memories", len(s.all), s.memories, s.bytes, counted, bytes, clients, memories)
	}
}

func TestStoreForgetsWhatHasEndedWhileOthersPoll(t *testing.T) {
	inBubble(t, func(c *client) {
		parked := c.nth(0).begin()
		for i := range 500 {
			c.store.Loaded(c.nth(i+1).Browser, false).Answered(nil)
			gives(c.begin(), "A")
		}
		c.keeps(501, 500)
		time.Sleep(longestPause + time.Second)
		for range 300 {
			gives(c.nth(1000).begin(), "A")
			time.Sleep(time.Minute)
		}
		c.keeps(2, 1)
		parked.Close(false)
		c.keeps(1, 1)
		if looks, loads := len(c.store.alike), len(c.store.loads); looks != 1 || loads != 0 {
			t.Errorf("%d looks and %d page loads are left", looks, loads)
		}
	})
}

func TestStoreCountForgetsWhatHasEndedWhileNobodyPolls(t *testing.T) {
	inBubble(t, func(c *client) {
		for i := range 500 {
			gives(c.nth(i).begin(), "A")
		}
		parked := c.begin()
		if count := c.store.Count(); count != 500 {
			t.Errorf("%d memories, want 500 with that of the parked poll", count)
		}
		time.Sleep(longestPause + time.Millisecond)
		if count := c.store.Count(); count != 1 {
			t.Errorf("%d memories, want that of the parked poll only", count)
		}
		c.keeps(1, 0)
		parked.Close(false)
	})
}

func TestStoreBoundsMemories(t *testing.T) {
	inBubble(t, func(c *client) {
		for i := range maxMemories + 10 {
			gives(c.nth(i).begin(), "A")
		}
		c.keeps(maxMemories, maxMemories)
		c.is(false, c.nth(9).begin(), "A", "the last client that was forgotten")
		c.is(true, c.nth(100).begin(), "A", "one of those after it")
	})
}

// Many answers of one client must not displace all memories of another answer.
func TestStoreBoundsMemoriesOfClient(t *testing.T) {
	inBubble(t, func(c *client) {
		var polls []*Poll
		for range 3 * maxOfSeries {
			polls = append(polls, c.begin())
		}
		for i, p := range polls {
			gives(p, fmt.Sprint(i%20))
		}
		c.keeps(1, maxOfSeries)
		polls = nil
		for range 3 * maxOfSeries {
			polls = append(polls, c.begin())
		}
		for _, p := range polls {
			gives(p, "A")
		}
		counts := make(map[Digest]int)
		for _, of := range c.store.all {
			for _, m := range of.memories {
				counts[m.answer]++
			}
		}
		if counts[digestOf("A")] != maxOfAnswer || len(counts) < 2 {
			t.Errorf("the client's memories are %v", counts)
		}
	})
}
