package memory

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// browser returns the browser at an address that sends these cookies.
func browser(address, cookies string) Browser {
	return BrowserOf(&http.Request{Host: "site.test", Header: http.Header{"User-Agent": {"Browser"}, "Cookie": {cookies}}}, address)
}

// manyCookies returns as many cookies as browsers are told apart by.
func manyCookies() string {
	var cookies strings.Builder
	for i := range maxCookies {
		fmt.Fprintf(&cookies, "c%d=1;", i)
	}
	return cookies.String()
}

// park begins a poll that uses a memory of an answer.
func (s *Store) park(of Browser, answer Digest) *Poll {
	q := Request{Browser: of, Remembers: true, End: func() {}}
	first := s.Begin(q)
	first.Gave(answer)
	first.Close()
	return s.Begin(q)
}

// More parked polls than the bounds allow must cost each answer no more than fewer do: it is
// given with the lock held that all polls of the process need.
func TestStoreStaysFastWithParkedPollsOverBounds(t *testing.T) {
	s, cookies := new(Store), manyCookies()
	early := s.park(browser("192.0.2.1", cookies), Digest{1})
	var polls []*Poll
	for i := 0; s.bytes <= maxBytes; i++ {
		polls = append(polls, s.park(browser(strconv.Itoa(i), cookies), Digest{1}))
	}
	early.Close() // what it used becomes a memory, which there is no room for
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
		p.Close()
	}
	if s.memories > maxMemories || s.bytes > maxBytes || s.bytes < 0 {
		t.Errorf("%d memories in %d bytes are left", s.memories, s.bytes)
	}
}
