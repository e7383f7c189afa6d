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

// Load has Caddy go on with another Caddyfile, as [Caddy.Reload] does, without a
// process for it. It returns when nobody can connect to what was there before. The
// error is why Caddy keeps the configuration that it has.
func (c *Caddy) Load(t testing.TB, caddyfile string) error {
	t.Helper()
	c.write(t, caddyfile)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	answer := c.Administer(t, http.MethodPost, "/load", string(text), "Content-Type: text/caddyfile")
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

// listeners counts the sockets that listen on an address's port. While there are
// two, a connection can be made to the one that Caddy is about to close, and is
// reset then.
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

// MustLoad is Load of what is in order.
func (c *Caddy) MustLoad(t testing.TB, caddyfile string) {
	t.Helper()
	if err := c.Load(t, caddyfile); err != nil {
		t.Fatal(err)
	}
}

// StopByAdmin ends it as `caddy stop` does, and returns how long that took.
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

// Goroutines counts those that Caddy has.
func (c *Caddy) Goroutines(t testing.TB) int {
	t.Helper()
	profile := c.Administer(t, http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	var n int
	if _, err := fmt.Sscanf(profile.Body, "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("the goroutines are not told: %+v", profile)
	}
	return n
}

// Memory is how many bytes Caddy has on its heap after a garbage collection.
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
	t.Fatalf("the heap is not told: %.500s", profile)
	return 0
}

// Descriptors is what files, sockets and the like Caddy has open.
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

// Administer makes a request at Caddy's admin socket, over a connection of its own.
func (c *Caddy) Administer(t testing.TB, method, path, body string, header ...string) Answer {
	t.Helper()
	admin := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(c.admin, "unix/"))
	}}
	return DoWith(t.Context(), admin, method, "http://admin"+path, body, header...)
}
