package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
)

func TestTheAdviceForTheChatServesItAsItsCaddyfileDoes(t *testing.T) {
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := runtest.Lists(2, "id", "User-Agent: page ", func(_, last int) string { return fmt.Sprint(address, "/messages?since=", last) })
		runtest.Visit(t, 2, 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).write("/messages", fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	t.Run("a poll is held until somebody writes", TestAPollIsHeldUntilSomebodyWrites)
	t.Run("both pages are served", TestBothPagesAreServed)
}
