package caddytest

import "testing"

// AwaitServing returns when Caddy listens at the addresses, which it opens one
// after the other, in no order. Start has awaited the site.
func (c *Caddy) AwaitServing(t testing.TB, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		c.awaitServing(t, address)
	}
}
