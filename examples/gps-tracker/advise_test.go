package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// The tracker moves all the time, so there is nothing to hold. What its Caddyfile does, no
// traffic shows: the backend publishes each position.
func TestTheAdviceForTheTrackerIsToHoldNothing(t *testing.T) {
	start(t) // skips if something is missing
	last := make([]int, 2)
	advice, notes := runtest.Advice(t, ports, "Caddyfile", func(address string) {
		e := &example{&runtest.Example{Address: address}, t}
		poll := func(ctx context.Context, page int) {
			answer := caddytest.Do(ctx, http.MethodGet, fmt.Sprint(address, "/position?since=", last[page]), "", fmt.Sprint("User-Agent: page ", page))
			if answer.Status == http.StatusOK && answer.Body != "{}" {
				last[page] = e.number(answer.Body)
			}
		}
		runtest.Visit(t, len(last), 250*time.Millisecond, poll, 0, 5*time.Second, nil)
	})
	if advice != "" || !strings.Contains(notes, "No advice for GET /position: ") || !strings.Contains(notes, "there is little to hold") {
		t.Errorf("the advice is %s%s", notes, advice)
	}
}
