package caddytest

import "testing"

// AwaitServing returns when Caddy listens at all the addresses, which it opens one by
// one in no fixed order. Start has already waited for the site.
func (c *Caddy) AwaitServing(t testing.TB, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		c.awaitServing(t, address)
	}
}
