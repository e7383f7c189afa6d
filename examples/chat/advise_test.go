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

func TestTheAdviceForTheChatServesItAsItsCaddyfileDoes(t *testing.T) {
	last := make([]int, 2)
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := func(ctx context.Context, page int) {
			answer := caddytest.Do(ctx, http.MethodGet, fmt.Sprint(address, "/messages?since=", last[page]), "", fmt.Sprint("User-Agent: page ", page))
			var news []struct{ ID int }
			json.Unmarshal([]byte(answer.Body), &news)
			for _, message := range news {
				last[page] = message.ID
			}
		}
		runtest.Visit(t, len(last), 300*time.Millisecond, poll, 6, time.Second, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).write("/messages", fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	t.Run("a poll is held until somebody writes", TestAPollIsHeldUntilSomebodyWrites)
	t.Run("both pages are served", TestBothPagesAreServed)
}
