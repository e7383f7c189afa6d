package memory

import (
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
