// Package inprocess runs Caddy inside the test's own process, for what cannot be
// done or measured from outside.
package inprocess

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // Caddy's own modules

	_ "github.com/caddy-parker/parker" // and what is under test
)

// Serve runs the Caddyfile until the test ends. There is one Caddy in a process:
// tests that use it do not run in parallel.
func Serve(t testing.TB, caddyfile string) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
}
