package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheAdviceForTheOrdersServesThemAsTheirCaddyfileDoes(t *testing.T) {
	start(t) // skips if something is missing
	last := make([]int, 3)
	caddyfile := runtest.Advise(t, ports, "node.Caddyfile", func(address string) {
		poll := func(ctx context.Context, page int) {
			answer := caddytest.Do(ctx, http.MethodGet, ordersAfter(address, last[page]), "", fmt.Sprint("User-Agent: screen ", page))
			var news []order
			json.Unmarshal([]byte(answer.Body), &news)
			for _, o := range news {
				last[page] = o.Number
			}
		}
		runtest.Visit(t, len(last), 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{t: t}).mustOrder(address, fmt.Sprint("dish ", number))
		})
	})
	runtest.Use(t, "node.Caddyfile", caddyfile)
	t.Run("polls at a node that dies wait at the other", TestPollsAtANodeThatDiesWaitAtTheOther)
	t.Run("a client that polls misses no order", TestAClientThatPollsByTheBalancerMissesNoOrder)
	t.Run("a stream goes on at the other node", TestAStreamAtANodeThatDiesGoesOnAtTheOther)
	t.Run("what the backend refuses is refused", TestWhatTheBackendRefusesIsRefused)
}
