package caddytest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Twin starts another Caddy with the same Caddyfile at the same addresses, as a
// supervisor does to upgrade the binary. It returns when the new one listens as well.
func (c *Caddy) Twin(t testing.TB) *Caddy {
	t.Helper()
	twin := &Caddy{
		Site: c.Site, Hook: c.Hook, hooked: c.hooked, config: c.config + ".twin",
		Stderr: new(Log), ended: make(chan error, 1),
		admin: strings.TrimSuffix(c.admin, "admin") + "twin",
		env:   slices.Clone(c.env),
	}
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(text), strings.TrimPrefix(c.admin, "unix/"), strings.TrimPrefix(twin.admin, "unix/"), 1)
	if err := os.WriteFile(twin.config, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	twin.run(t, "--config", twin.config, "--adapter", "caddyfile")
	Await(t, "both listen", func() bool {
		return listeners(t, c.Site) == 2 && (!c.hooked || listeners(t, c.Hook) == 2)
	})
	return twin
}
