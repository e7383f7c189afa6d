package caddytest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Load loads another Caddyfile, like [Caddy.Reload], without starting a process. It
// returns when the old listeners accept no connections any more. The error says why
// Caddy refused the Caddyfile and kept its configuration.
func (c *Caddy) Load(t testing.TB, caddyfile string) error {
	t.Helper()
	c.write(t, caddyfile)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	// Caddy replaces its admin endpoint with each load, and may close a connection to the
	// one before without an answer. To load the same again does no harm.
	var answer Answer
	for range 3 {
		answer = c.Administer(t, http.MethodPost, "/load", string(text), "Content-Type: text/caddyfile")
		if answer.Err == nil {
			break
		}
	}
	if answer.Err != nil {
		t.Fatalf("loading: %v\n%s", answer.Err, c.Stderr)
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("loading: %d %s", answer.Status, answer.Body)
	}
	Await(t, "the listeners of before are closed", func() bool { return listeners(t, c.Site) <= 1 && listeners(t, c.Hook) <= 1 })
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return nil
}

// listeners counts the sockets that listen on the port of the address. While there are
// two, a connection may reach the one that Caddy is about to close, and is then reset.
func listeners(t testing.TB, address string) int {
	t.Helper()
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	const listening = "0A"
	n := 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		sockets, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(sockets)) {
			fields := strings.Fields(line)
			if len(fields) > 3 && fields[3] == listening && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				n++
			}
		}
	}
	return n
}

// MustLoad is like [Caddy.Load] but fails the test on an error.
func (c *Caddy) MustLoad(t testing.TB, caddyfile string) {
	t.Helper()
	if err := c.Load(t, caddyfile); err != nil {
		t.Fatal(err)
	}
}

// StopByAdmin stops Caddy as `caddy stop` does, and returns how long that took.
func (c *Caddy) StopByAdmin(t testing.TB) time.Duration {
	t.Helper()
	begin := time.Now()
	if answer := c.Administer(t, http.MethodPost, "/stop", ""); answer.Err != nil || answer.Status != http.StatusOK {
		t.Fatalf("stopping: %+v", answer)
	}
	c.AwaitEnd(t)
	return time.Since(begin)
}

// AwaitEnd returns when the process has ended.
func (c *Caddy) AwaitEnd(t testing.TB) {
	t.Helper()
	select {
	case err := <-c.ended:
		c.ended <- err
	case <-time.After(Patience):
		t.Fatalf("Caddy did not end:\n%s", c.Stderr)
	}
}

// Goroutines returns the number of goroutines in Caddy.
func (c *Caddy) Goroutines(t testing.TB) int {
	t.Helper()
	profile := c.Administer(t, http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	var n int
	if _, err := fmt.Sscanf(profile.Body, "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("reading the goroutines: %+v", profile)
	}
	return n
}

// Memory returns the number of bytes on Caddy's heap after a garbage collection.
func (c *Caddy) Memory(t testing.TB) int {
	t.Helper()
	profile := c.Administer(t, http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "").Body
	for line := range strings.Lines(profile) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "# HeapAlloc = "); ok {
			if n, err := strconv.Atoi(value); err == nil {
				return n
			}
		}
	}
	t.Fatalf("reading the heap profile: %.500s", profile)
	return 0
}

// Descriptors lists the files, sockets and other descriptors that Caddy has open.
func (c *Caddy) Descriptors(t testing.TB) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", c.Pid())
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range entries {
		if link, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			open = append(open, link)
		}
	}
	return open
}

// Administer sends a request to Caddy's admin socket, over its own connection.
func (c *Caddy) Administer(t testing.TB, method, path, body string, header ...string) Answer {
	t.Helper()
	admin := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(c.admin, "unix/"))
	}}
	return DoWith(t.Context(), admin, method, "http://admin"+path, body, header...)
}
