package memory

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestStoreSeesPageLoadsFromOtherAddresses(t *testing.T) {
	const session, zone = "session=0123456789abcdef", "zone=Europe/Berlin"
	browser := func(address, agent, cookies string) Browser {
		r := &http.Request{Host: "site.test", Header: http.Header{"User-Agent": {agent}, "Cookie": {cookies}}}
		return BrowserOf(r, address)
	}
	synctest.Test(t, func(t *testing.T) {
		s := new(Store)
		settles := func(b Browser) bool {
			p := s.Begin(Request{Browser: b, Remembers: true, End: func() {}})
			defer p.Close(false)
			return p.Settles()
		}
		s.Loaded(browser("192.0.2.1", "Firefox", session+"; "+zone), false)
		for name, test := range map[string]struct {
			browser Browser
			want    bool
		}{
			"another address": {browser("192.0.2.2", "Firefox", zone+"; "+session+"; seen=1"), true},
			"another browser": {browser("192.0.2.2", "Chromium", session+"; "+zone), false},
			"another session": {browser("192.0.2.2", "Firefox", "session=fedcba9876543210; "+zone), false},
			"short values":    {browser("192.0.2.2", "Firefox", "seen=1"), false},
		} {
			if got := settles(test.browser); got != test.want {
				t.Errorf("%s: the poll settles: %t", name, got)
			}
		}
		time.Sleep(settling + time.Second)
		if settles(browser("192.0.2.2", "Firefox", session)) || len(s.traced)+len(s.loads)+s.loadBytes > 0 {
			t.Errorf("after a while, %d page loads of %d bytes, and %d traces are left", len(s.loads), s.loadBytes, len(s.traced))
		}
	})
}

// Strangers have long values in common, such as a time zone and a consent.
func TestStoreSettlesFewPollsFromOtherAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Store)
		browser := func(n int) Browser {
			r := &http.Request{Host: "site.test", Header: http.Header{"Cookie": {
				fmt.Sprintf("session=0123456789-%d; zone=Europe/Berlin; consent=all-of-them-2026", n),
			}}}
			return BrowserOf(r, fmt.Sprint("192.0.2.", n))
		}
		s.Loaded(browser(0), false)
		settled := 0
		for n := range 100 {
			p := s.Begin(Request{Browser: browser(n + 1), Remembers: true, End: func() {}})
			if p.Settles() {
				settled++
			}
			p.Close(false)
		}
		if settled > mostPossible {
			t.Errorf("a page load has settled %d polls from other addresses, want %d at most", settled, mostPossible)
		}
	})
}
