package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestParkerSpreadsTimeoutsOfPollsParkedTogether(t *testing.T) {
	t.Parallel()
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	caddy := caddytest.Start(t, configuration("", "parker {\n timeout 5s\n}", backend), "")
	const polls = 50
	var answered []<-chan caddytest.Answer
	for range polls {
		answered = append(answered, caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages"))
	}
	caddy.AwaitWaiting(t, "messages", polls)
	times := make(map[string]int)
	for _, poll := range answered {
		g := <-poll
		if g.Err != nil || g.Release() != "timeout" {
			t.Errorf("a poll was answered %+v", g)
		}
		_, park, _ := strings.Cut(g.Header.Get("Parker-Status"), "park=")
		park, _, _ = strings.Cut(park, ";")
		times[park]++
	}
	for park, n := range times {
		if n > polls*3/4 {
			t.Errorf("%d of %d polls were held for %s s", n, polls, park)
		}
	}
}

func TestParkerFreesMemoryAfterManyPolls(t *testing.T) {
	const clients, rounds = 2000, 4
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	caddy := caddytest.StartSecure(t, `
http://{$SITE}, https://{$TLS_SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`, backend)
	crowd := func(rounds int) {
		client := caddy.Client(t, caddytest.HTTP2)
		defer client.Disconnect()
		var leaving sync.WaitGroup
		for range clients {
			leaving.Go(func() {
				for range rounds {
					g := client.Do(t.Context(), http.MethodGet, "/messages", "")
					for g.Err != nil && t.Context().Err() == nil && !t.Failed() { // a busy machine was too slow to set up a connection
						g = client.Do(t.Context(), http.MethodGet, "/messages", "")
					}
					if g.Body != "news" {
						t.Errorf("a poll was answered %+v", g)
						return
					}
				}
			})
		}
		for range rounds {
			caddy.AwaitWaiting(t, "messages", clients)
			if p := caddy.PublishWith(t, "messages", "news"); p.Released != clients {
				t.Errorf("%d were released", p.Released)
			}
		}
		leaving.Wait()
		caddy.AwaitWaiting(t, "messages", 0)
	}
	crowd(1)
	goroutines, memory := caddy.Goroutines(t), caddy.Memory(t)
	crowd(rounds)
	const slack = 4 << 20
	caddytest.Await(t, "goroutines and memory return to what they were", func() bool {
		return caddy.Goroutines(t) <= goroutines+10 && caddy.Memory(t) <= memory+slack
	})
}
