package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReloadFreesConfigurationsThatStreamLeft(t *testing.T) {
	t.Parallel()
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	})
	text := func(i int) string {
		return configuration("", fmt.Sprintf("parker {\n timeout %ds\n}", 40+i%2), backend)
	}
	caddy := caddytest.Start(t, text(0), "")
	const streams = 50
	var all []*caddytest.Stream
	for range streams {
		all = append(all, caddytest.Listen(t, "http://"+caddy.Site+"/messages"))
	}
	awaitStreams(t, caddy, "messages", streams)
	reload := func(times int) {
		for i := range times {
			caddy.MustLoad(t, text(i+1))
			message := fmt.Sprint("message ", i)
			caddy.Publish(t, "messages", "", message)
			for _, s := range all {
				hears(t, s, message)
			}
		}
	}
	reload(4)
	goroutines, memory := caddy.Goroutines(t), caddy.Memory(t)
	reload(20)
	const slack = 3 << 20 // a stream uses some kilobytes for each configuration
	caddytest.Await(t, "goroutines and memory are what they were", func() bool {
		return caddy.Goroutines(t) <= goroutines+5 && caddy.Memory(t) <= memory+slack
	})
	awaitStreams(t, caddy, "messages", streams)
}

func TestReloadKeepsLastRouteOfVanishedSite(t *testing.T) {
	t.Parallel()
	const held = "parker /messages {\n look_again off\n}"
	first, second, last := caddytest.NewScripted(t), caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", held, first.Address), "")
	s := parkPair(t, caddy, first, "http://"+caddy.Site+"/messages", "messages")
	replayed := func(backend *caddytest.Scripted) {
		t.Helper()
		caddy.Publish(t, "messages", "", "")
		for range 2 {
			backend.Next(t).Answer(204, "")
		}
		caddy.AwaitWaiting(t, "messages", 1)
		awaitStreams(t, caddy, "messages", 1)
	}
	site := configuration("", held, second.Address)
	caddy.MustLoad(t, site)
	replayed(second)
	caddy.MustLoad(t, strings.Replace(site, "http://{$SITE} {", "http://elsewhere.example:{$HTTP_PORT} {", 1))
	for range 3 {
		replayed(second)
	}
	// The site is back and requires a password.
	caddy.MustLoad(t, configuration("", held, last.Address))
	replayed(last)
	caddy.MustLoad(t, configuration("", "respond 403", last.Address))
	caddy.Publish(t, "messages", "", "")
	if g := <-s.poll; g.Status != 403 {
		t.Errorf("the poll was answered %+v", g)
	}
	ends(t, s.stream, `{"status":403}`)
	caddy.AwaitWaiting(t, "messages", 0)
	awaitStreams(t, caddy, "messages", 0)
	first.Unasked(t)
	second.Unasked(t)
	last.Unasked(t)
}
