package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// A customer of an IPv6 provider has 2^64 addresses and can change them at will.
func TestLimitsCountIPv6ClientsByPrefix(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct{ global, option string }{
		"per_client":              {"", "per_client 2"},
		"max_channels_per_client": {"parker {\n max_channels_per_client 2\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewLegacy(t)
			caddy := caddytest.Start(t, "{\n{$GLOBAL}\nservers {\ntrusted_proxies static 127.0.0.1\n}\n"+limit.global+"\n}\n"+parking(limit.option), backend.Address)
			parked := 0
			poll := func(address string) (string, string) {
				parked++
				return fmt.Sprintf("http://%s/feed/%d", caddy.Site, parked), "X-Forwarded-For: " + address
			}
			held := func(address string) {
				t.Helper()
				url, from := poll(address)
				caddytest.Get(t.Context(), url, from)
				caddy.AwaitWaiting(t, fmt.Sprint("feed/", parked), 1)
			}
			full := func(address string) {
				t.Helper()
				url, from := poll(address)
				if g := caddytest.Do(t.Context(), http.MethodGet, url, "", from, "Prefer: wait=2"); g.Status != http.StatusOK || g.Body != "[]" || g.Release() != "full" {
					t.Errorf("the poll beyond the limit, of %s, was answered %+v", address, g)
				}
			}
			held("2001:db8:1:2::1")
			held("2001:db8:1:2:aaaa::2")
			full("2001:db8:1:2::3")
			full("2001:db8:1:2:ffff:ffff:ffff:ffff")
			held("2001:db8:1:3::1")
			held("192.0.2.1")
			held("::ffff:192.0.2.1")
			full("192.0.2.1")
			held("192.0.2.2")
		})
	}
}
