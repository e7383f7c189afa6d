package sites

import (
	"fmt"
	"testing"
)

func TestHostsReturnsTheOtherHostOfAChannel(t *testing.T) {
	var hosts Hosts
	for i, step := range []struct{ channel, host, other string }{
		{"messages", "a.example", ""},
		{"messages", "A.example:443", ""},
		{"rooms/7", "b.example", ""},
		{"messages", "b.example", "a.example"},
		{"messages", "b.example:8080", "b.example"},
		{"messages", "b.example:8080", ""},
		{"ipv6", "[2001:db8::80]", ""},
		{"ipv6", "[2001:DB8::80]:443", ""},
		{"ipv6", "[2001:db8::443]", "2001:db8::80"},
	} {
		if other := hosts.Wait(step.channel, step.host); other != step.other {
			t.Errorf("step %d: the other host is %q, want %q", i, other, step.other)
		}
	}
	for host, want := range map[string]string{"b.example": "", "B.EXAMPLE:80": "", "a.example": "b.example"} {
		if other := hosts.Other("rooms/7", host); other != want {
			t.Errorf("%s: the other host is %q, want %q", host, other, want)
		}
	}
	if other := hosts.Other("nobody", "a.example"); other != "" {
		t.Errorf("nobody waits, and the other host is %q", other)
	}
}

func TestHostsStaysBounded(t *testing.T) {
	var hosts Hosts
	for i := range 3 * maxChannels {
		hosts.Wait(fmt.Sprint(i), "a.example")
	}
	if len(hosts.channels) > maxChannels {
		t.Errorf("it remembers %d channels", len(hosts.channels))
	}
}

func TestApartByTellsSitesApart(t *testing.T) {
	for _, test := range []struct {
		sites []string
		want  string
	}{
		{[]string{"a.example", "b.example"}, "{host}{path}"},
		{[]string{"a.example:8080", "b.example:8080"}, "{host}{path}"},
		{[]string{"localhost:8080", "localhost:8081"}, "{hostport}{path}"},
		{[]string{"a.example", "a.example:8443"}, "{hostport}{path}"},
		{[]string{"2001:db8::80", "2001:db8::443"}, "{host}{path}"},
		{[]string{"[::1]:8080", "[::1]:8081"}, "{hostport}{path}"},
	} {
		if got := ApartBy(test.sites...); got != test.want {
			t.Errorf("%v: %s, want %s", test.sites, got, test.want)
		}
	}
}

func TestOverlapFindsPathsThatFitBoth(t *testing.T) {
	for _, test := range []struct {
		a, b []string
		want bool
	}{
		{nil, nil, true},
		{nil, []string{"/a"}, true},
		{[]string{"/a"}, []string{"/A"}, true},
		{[]string{"/a"}, []string{"/b"}, false},
		{[]string{"/a"}, []string{"/b", "/a"}, true},
		{[]string{"/rooms/*"}, []string{"/rooms/7"}, true},
		{[]string{"/rooms/*"}, []string{"/rooms"}, false},
		{[]string{"/rooms/*"}, []string{"/messages"}, false},
		{[]string{"/rooms/*"}, []string{"/rooms/7/*"}, true},
		{[]string{"/rooms/*"}, []string{"/users/*"}, false},
		{[]string{"/*/feed"}, []string{"/users/*"}, true},
		{[]string{"*.json"}, []string{"/users"}, true},
		{[]string{"/{vars.a}"}, []string{"/users"}, true},
	} {
		for _, pair := range [][2][]string{{test.a, test.b}, {test.b, test.a}} {
			if got := overlap(pair[0], pair[1]); got != test.want {
				t.Errorf("%v and %v: %t", pair[0], pair[1], got)
			}
		}
	}
}
