package limit

import "testing"

func TestClientReturnsIPv4AddressOrSlash64(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":                      "192.0.2.1",
		"::ffff:192.0.2.1":               "192.0.2.1",
		"::ffff:c000:201":                "192.0.2.1",
		"::ffff:192.0.2.1%eth0":          "192.0.2.1",
		"2001:db8:1:2::1":                "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff:ffff:ffff:1":  "2001:db8:1:2::/64",
		"2001:0DB8:0001:0002:0:0:0:0001": "2001:db8:1:2::/64",
		"2001:db8:1:3::1":                "2001:db8:1:3::/64",
		"fe80::1%eth0":                   "fe80::/64",
		"fe80::2%eth1":                   "fe80::/64",
		"::1":                            "::/64",
		"":                               "",
		"@":                              "@",
		"unix":                           "unix",
		"192.0.2.1:80":                   "192.0.2.1:80",
		"2001:db8:1:2::/64":              "2001:db8:1:2::/64",
		"client.example":                 "client.example",
	} {
		if got := Client(address); got != want {
			t.Errorf("the client at %q is %q, want %q", address, got, want)
		}
	}
}
