package memory

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// browsers returns a function that returns the browser at an address. All of them have as
// many cookies as they are told apart by.
func browsers() (at func(address int) Browser) {
	var cookies strings.Builder
	for i := range maxCookies {
		fmt.Fprintf(&cookies, "c%d=1;", i)
	}
	b := BrowserOf(&http.Request{Host: "site.test", Header: http.Header{"User-Agent": {"Browser"}, "Cookie": {cookies.String()}}}, "192.0.2.1")
	return func(address int) Browser {
		binary.BigEndian.PutUint64(b.look[:], uint64(address))
		return b
	}
}

// park begins a poll that uses a memory of an answer.
func (s *Store) park(of Browser, answer Digest) *Poll {
	q := Request{Browser: of, Remembers: true, End: func() {}}
	first := s.Begin(q)
	first.Gave(answer)
	first.Close(false)
	return s.Begin(q)
}

// More parked polls than the bounds allow must cost each answer no more than fewer do: it is
// given with the lock held that all polls of the process need.
func TestStoreStaysFastWithParkedPollsOverBounds(t *testing.T) {
	s, at := new(Store), browsers()
	early := s.park(at(-1), Digest{1})
	var polls []*Poll
	for i := 0; s.bytes <= maxBytes; i++ {
		polls = append(polls, s.park(at(i), Digest{1}))
	}
	early.Close(false) // what it used becomes a memory, which there is no room for
	begin := time.Now()
	for range 3 {
		for _, p := range polls {
			p.Gave(Digest{2})
			p.Kept()
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%d answers took %v", 3*len(polls), took)
	}
	for _, p := range polls {
		p.Close(false)
	}
	if s.memories > maxMemories || s.bytes > maxBytes || s.bytes < 0 {
		t.Errorf("%d memories in %d bytes are left", s.memories, s.bytes)
	}
}

func TestStoreBoundsBytesOfPageLoads(t *testing.T) {
	s, at := new(Store), browsers()
	for i := range 20_000 {
		s.Loaded(at(i), false)
	}
	bytes := 0
	for _, load := range s.loads {
		bytes += cap(load.browser.cookies) * bytesOfCookie
	}
	if bytes > maxLoadBytes || len(s.loads) < 1000 || len(s.alike) > len(s.loads)+1 {
		t.Errorf("%d page loads of %d looks have cookies of %d bytes", len(s.loads), len(s.alike), bytes)
	}
}
