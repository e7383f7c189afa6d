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
	// Looking costs a busy machine what it is to do.
	for pause := 2 * time.Millisecond; !holds(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
		<-time.After(pause)
	}
}

// AwaitInside returns when just n goroutines of Caddy are in the function, given
// by the end of its name, such as "poll.(*Poll).await". It tells how far requests
// have come where nothing can be seen from outside.
func (c *Caddy) AwaitInside(t testing.TB, function string, n int) {
	t.Helper()
	admin := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(c.admin, "unix/"))
	}}
	defer admin.CloseIdleConnections()
	Await(t, strconv.Itoa(n)+" goroutines are in "+function, func() bool {
		profile := DoWith(t.Context(), admin, http.MethodGet, "http://admin/debug/pprof/goroutine?debug=1", "")
		if profile.Status != http.StatusOK {
			t.Fatalf("the goroutines are not told: %+v", profile)
		}
		return countInside(profile.Body, function) == n
	})
}

// countInside sums up the goroutines of a profile's stacks, each of which begins
// with their number, that have the function in them.
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
