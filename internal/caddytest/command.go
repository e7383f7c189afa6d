package caddytest

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// Command is a command of the Caddy that runs here, `caddy parker` for one. It is
// killed when the test ends.
func (c *Caddy) Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, path, args...)
	command.Env = c.env
	return command
}

// Admin is the address of its admin endpoint, as --address takes it.
func (c *Caddy) Admin() string { return strings.Replace(c.admin, "unix/", "unix//", 1) }

// Config is the file of the Caddyfile that it has read last.
func (c *Caddy) Config() string { return c.config }
