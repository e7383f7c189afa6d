package caddytest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Command returns a command of the caddy binary, such as `caddy parker`, with the variables
// of this Caddy. It is killed when the test ends.
func (c *Caddy) Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	command := Command(t, args...)
	command.Env = c.env
	return command
}

// Command returns a command of the caddy binary with folders of its own. It is killed when
// the test ends.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	dir := t.TempDir()
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "HOME="+dir)
	return command
}

// Admin returns the address of the admin endpoint, in the form for --address.
func (c *Caddy) Admin() string { return strings.Replace(c.admin, "unix/", "unix//", 1) }

// Config returns the path of the Caddyfile that Caddy read last.
func (c *Caddy) Config() string { return c.config }
