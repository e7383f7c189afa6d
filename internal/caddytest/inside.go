package caddytest

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Await returns when the condition holds.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	// Checking too often would slow down a busy machine.
	for pause := 2 * time.Millisecond; !holds(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
		<-time.After(pause)
	}
}

// AwaitInside returns when exactly n goroutines of Caddy are in the function, given by
// the end of its name, such as "poll.(*Poll).await". It shows how far requests have
// come where nothing is visible from outside.
func (c *Caddy) AwaitInside(t testing.TB, function string, n int) {
	t.Helper()
	admin := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(c.admin, "unix/"))
	}}
	defer admin.CloseIdleConnections()
	Await(t, strconv.Itoa(n)+" goroutines are in "+function, func() bool {
		profile := DoWith(t.Context(), admin, http.MethodGet, "http://admin/debug/pprof/goroutine?debug=1", "")
		if profile.Status != http.StatusOK {
			t.Fatalf("reading the goroutines: %+v", profile)
		}
		return countInside(profile.Body, function) == n
	})
}

// countInside adds up the goroutines of the stacks in a profile that contain the
// function. Each stack begins with the number of its goroutines.
func countInside(profile, function string) int {
	sum := 0
	for stack := range strings.SplitSeq(profile, "\n\n") {
		count, frames, ok := strings.Cut(stack, " @ ")
		if !ok || !strings.Contains(frames, function+"+0x") {
			continue
		}
		count = count[strings.LastIndexByte(count, '\n')+1:]
		if n, err := strconv.Atoi(count); err == nil {
			sum += n
		}
	}
	return sum
}
