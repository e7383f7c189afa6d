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

func TestTheAdviceForTheServletServesItAsItsCaddyfileDoes(t *testing.T) {
	start(t, 0) // skips if something is missing
	last := make([]int, 3)
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := func(ctx context.Context, page int) {
			answer := caddytest.Do(ctx, http.MethodGet, fmt.Sprint(address, "/messages?since=", last[page]), "", fmt.Sprint("Cookie: of=", page))
			var news []struct{ ID int }
			json.Unmarshal([]byte(answer.Body), &news)
			for _, message := range news {
				last[page] = message.ID
			}
		}
		runtest.Visit(t, len(last), 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).post("Ada", fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	e := start(t, 0)
	t.Run("through parker it is held until somebody writes", func(t *testing.T) { throughParker(&example{e.Example, t}) })
	t.Run("it refuses what is no message", func(t *testing.T) { refused(&example{e.Example, t}) })
}
