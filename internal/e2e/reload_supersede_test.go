package e2e

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// The older poll of a page was kept at a reload, and is parked on the same channels or
// on others.
func TestSupersedeEndsOlderPollAfterReload(t *testing.T) {
	t.Parallel()
	for _, channels := range []string{"messages", "messages more"} {
		t.Run(channels, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			text := func(channels string) string {
				return configuration("", "parker "+channels+" {\n supersede {query.page}\n}", backend.Address)
			}
			caddy := caddytest.Start(t, text("messages"), "")
			url := "http://" + caddy.Site + "/messages?page=1"
			older := caddytest.Get(t.Context(), url)
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)
			caddy.MustLoad(t, text(channels))
			caddy.Publish(t, "messages", "", "")
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)

			newer := caddytest.Get(t.Context(), url+"&newer")
			if g := <-older; g.Status != 204 || g.Release() != "timeout" {
				t.Errorf("the older poll was answered %+v", g)
			}
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)
			caddy.Publish(t, "messages", "", "news")
			if g := <-newer; g.Body != "news" {
				t.Errorf("the newer poll was answered %+v", g)
			}
		})
	}
}

// If polls arrive during a reload that keeps older ones, one poll of each page is left.
func TestSupersedeLeavesOnePollPerPageAfterReload(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	text := func(i int) string {
		return configuration("", fmt.Sprintf("parker messages%s {\n supersede {query.page}\n timeout %dm\n}", []string{"", " more"}[i%2], 5+i), backend.Address)
	}
	caddy := caddytest.Start(t, text(0), "")
	var came sync.Map // the numbers of the polls that have arrived
	go func() {
		for {
			select {
			case ask := <-backend.Asks():
				came.Store(ask.Request.FormValue("n"), true)
				ask.Answer(204, "")
			case <-t.Context().Done():
				return
			}
		}
	}()
	const pages = 10
	var polls []<-chan caddytest.Answer
	open := func() {
		for page := range pages {
			polls = append(polls, caddytest.Get(t.Context(), fmt.Sprintf("http://%s/messages?page=%d&n=%d", caddy.Site, page, len(polls))))
		}
	}
	// An older poll ends before the newer one asks, so these are the newest.
	awaitNewest := func() {
		t.Helper()
		caddytest.Await(t, "the newest polls have come", func() bool {
			for n := range polls {
				if _, ok := came.Load(strconv.Itoa(n)); !ok {
					return false
				}
			}
			return true
		})
		caddy.AwaitWaiting(t, "messages", pages)
	}
	open()
	for i := range 5 {
		awaitNewest()
		caddy.MustLoad(t, text(i+1))
		caddy.Publish(t, "messages", "", "")
		open()
	}
	awaitNewest()
	caddy.Publish(t, "messages", "", "the end")
	news := 0
	for _, poll := range polls {
		switch g := <-poll; {
		case g.Body == "the end":
			news++
		case g.Err != nil || g.Status != 204:
			t.Errorf("a poll was answered %+v", g)
		}
	}
	if news != pages {
		t.Errorf("%d polls got the news", news)
	}
}
