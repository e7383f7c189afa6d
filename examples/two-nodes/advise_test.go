package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
)

func TestTheAdviceForTheOrdersServesThemAsTheirCaddyfileDoes(t *testing.T) {
	start(t) // skips if something is missing
	caddyfile := runtest.Advise(t, ports, "node.Caddyfile", func(address string) {
		poll := runtest.Lists(3, "number", "User-Agent: screen ", func(_, last int) string { return ordersAfter(address, last) })
		runtest.Visit(t, 3, 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{t: t}).mustOrder(address, fmt.Sprint("dish ", number))
		})
	})
	runtest.Use(t, "node.Caddyfile", caddyfile)
	t.Run("polls at a node that dies wait at the other", TestPollsAtANodeThatDiesWaitAtTheOther)
	t.Run("a client that polls misses no order", TestAClientThatPollsByTheBalancerMissesNoOrder)
	t.Run("a stream goes on at the other node", TestAStreamAtANodeThatDiesGoesOnAtTheOther)
	t.Run("what the backend refuses is refused", TestWhatTheBackendRefusesIsRefused)
}
