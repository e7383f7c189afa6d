package caddytest

import (
	"os/exec"
	"testing"
)

// Kill kills Caddy, as a crash would.
func (c *Caddy) Kill(t testing.TB) {
	t.Helper()
	if err := c.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.AwaitEnd(t)
}

// Again starts Caddy again after its end, at the same addresses and with the same
// Caddyfile. It returns when Caddy serves.
func (c *Caddy) Again(t testing.TB) {
	t.Helper()
	process, ended := exec.Command(c.process.Path, c.process.Args[1:]...), make(chan error, 1)
	process.Env, process.Stderr = c.env, c.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- process.Wait() }()
	c.process, c.ended = process, ended
	c.awaitServing(t, c.Site)
	if c.hooked {
		c.awaitServing(t, c.Hook)
	}
}
