package caddytest

import (
	"os"
	"os/exec"
	"testing"
)

// StartAdapted is like [Start], but Caddy adapts the Caddyfile to JSON first and runs
// the JSON.
func StartAdapted(t testing.TB, caddyfile, backend string, env ...string) *Caddy {
	t.Helper()
	c := prepare(t, caddyfile, backend, env)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	adapt := exec.Command(path, "adapt", "--config", c.config, "--adapter", "caddyfile")
	adapt.Env = c.env
	adapt.Stderr = c.Stderr
	text, err := adapt.Output()
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, c.Stderr)
	}
	c.config += ".json"
	if err := os.WriteFile(c.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(t, "--config", c.config)
	return c
}
