package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheAdviceForTheGuestbookServesItAsItsCaddyfileDoes(t *testing.T) {
	start(t) // skips if something is missing
	refresh := regexp.MustCompile(`content="2; url=guestbook\.pl(\?after=\d+)"`)
	next := make([]string, 3)
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := func(ctx context.Context, page int) { // as a browser does that obeys the page's refresh
			answer := caddytest.Do(ctx, http.MethodGet, address+script+next[page], "", fmt.Sprint("User-Agent: page ", page), "Sec-Fetch-Dest: frame")
			if found := refresh.FindStringSubmatch(answer.Body); found != nil {
				next[page] = found[1]
			}
		}
		runtest.Visit(t, len(next), 300*time.Millisecond, poll, 6, 1500*time.Millisecond, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).sign("Ada", fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	defer func(own string) { channel = own }(channel)
	channel = strings.TrimPrefix(script, "/") // the same path for polls and signatures needs no name
	t.Run("readers are held", TestReadersAreHeldUntilSomebodySignsAndShareOneStartOfPerl)
	t.Run("who knows less is answered at once", TestWhoKnowsLessIsAnsweredAtOnceAndAroundParkerEverybody)
	t.Run("it is as without parker", TestTheGuestbookIsAsWithoutParker)
}
