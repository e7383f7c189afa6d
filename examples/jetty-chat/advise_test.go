package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
)

func TestTheAdviceForTheServletServesItAsItsCaddyfileDoes(t *testing.T) {
	start(t, 0) // skips if something is missing
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := runtest.Lists(3, "id", "Cookie: of=", func(_, last int) string { return fmt.Sprint(address, "/messages?since=", last) })
		runtest.Visit(t, 3, 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).post("Ada", fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	e := start(t, 0)
	t.Run("through parker it is held until somebody writes", func(t *testing.T) { throughParker(&example{e.Example, t}) })
	t.Run("it refuses what is no message", func(t *testing.T) { refused(&example{e.Example, t}) })
}
