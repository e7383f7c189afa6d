package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReloadCarriesRequestThroughManyConfigurations(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	text := func(i int) string {
		return configuration("", fmt.Sprintf("request_header X-Generation %d\nheader X-Generation %d\nparker /messages {\nlook_again off\n}", i, i), backend.Address)
	}
	caddy := caddytest.Start(t, text(0), "")
	s := parkPair(t, caddy, backend, "http://"+caddy.Site+"/messages", "messages")
	for i := 1; i <= 12; i++ {
		caddy.MustLoad(t, text(i))
		if i%3 != 0 {
			continue // two configurations in which nothing happens
		}
		caddy.Publish(t, "messages", "", "")
		for range 2 {
			ask := backend.Next(t)
			if got := ask.Request.Header.Values("X-Generation"); fmt.Sprint(got) != fmt.Sprintf("[%d]", i) {
				t.Errorf("in generation %d, X-Generation is %v", i, got)
			}
			ask.Answer(204, "")
		}
		caddy.AwaitWaiting(t, "messages", 1)
		awaitStreams(t, caddy, "messages", 1)
	}
	caddy.MustLoad(t, text(13))
	caddy.Publish(t, "messages", "", "")
	for range 2 {
		backend.Next(t).Answer(200, "news")
	}
	if g := <-s.poll; g.Body != "news" || fmt.Sprint(g.Header.Values("X-Generation")) != "[13]" {
		t.Errorf("the poll was answered %+v", g)
	}
	hears(t, s.stream, "news")
}

func TestReloadLetsRunningReplayFinishInItsConfiguration(t *testing.T) {
	t.Parallel()
	old, young := caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker /messages", old.Address), "")
	s := parkPair(t, caddy, old, "http://"+caddy.Site+"/messages", "messages")
	caddy.Publish(t, "messages", "", "")
	replays := []*caddytest.Ask{old.Next(t), old.Next(t)}
	caddy.MustLoad(t, configuration("", "parker /messages", young.Address))
	caddy.Publish(t, "messages", "", "") // the event is noted for later
	for _, replay := range replays {
		replay.Answer(204, "")
	}
	for range 2 {
		young.Next(t).Answer(200, "news")
	}
	expect(t, "news", "", s.poll)
	hears(t, s.stream, "news")
	old.Unasked(t)
}

func TestReloadRetriesRefusedReplayInNewConfiguration(t *testing.T) {
	t.Parallel()
	old, young := caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker /messages", old.Address), "")
	s := parkPair(t, caddy, old, "http://"+caddy.Site+"/messages", "messages")
	caddy.Publish(t, "messages", "", "")
	refused := []*caddytest.Ask{old.Next(t), old.Next(t)}
	caddy.MustLoad(t, configuration("", "parker /messages", young.Address))
	for _, ask := range refused {
		ask.Answer(503, "restarting")
	}
	for range 2 {
		young.Next(t).Answer(200, "news")
	}
	expect(t, "news", "replay", s.poll)
	hears(t, s.stream, "news")
	old.Unasked(t)
}

func TestReloadLeaksNothing(t *testing.T) {
	t.Parallel()
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	})
	text := func(i int) string {
		return configuration("", fmt.Sprintf("parker {\n timeout %ds\n watch 10s\n reuse 1ms\n}", 40+i%10), backend)
	}
	caddy := caddytest.Start(t, text(0), "")
	visit := func(i int) {
		transport := &http.Transport{DisableKeepAlives: true}
		url := "http://" + caddy.Site + "/messages"
		var polls []<-chan caddytest.Answer
		var streams []*caddytest.Stream
		for range 5 {
			polls = append(polls, caddytest.Get(t.Context(), url, "Connection: close"))
			streams = append(streams, caddytest.ListenWith(t, transport, url))
		}
		caddy.AwaitWaiting(t, "messages", 5)
		caddy.MustLoad(t, text(i))
		caddy.Publish(t, "messages", "", "")
		caddy.AwaitWaiting(t, "messages", 5)
		caddy.Publish(t, "messages", "", "news")
		expect(t, "news", "", polls...)
		for _, stream := range streams {
			stream.Leave()
		}
		awaitStreams(t, caddy, "messages", 0)
	}
	visit(1)
	visit(2)
	goroutines, descriptors := caddy.Goroutines(t), caddy.Descriptors(t)
	for i := range 10 {
		visit(3 + i)
	}
	caddytest.Await(t, fmt.Sprint("there are no more than ", goroutines, " goroutines"), func() bool { return caddy.Goroutines(t) <= goroutines })
	caddytest.Await(t, fmt.Sprint("there is no more open than ", descriptors), func() bool { return len(caddy.Descriptors(t)) <= len(descriptors) })
	list := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/", "")
	if list.Status != 200 || strings.Contains(list.Body, "messages") {
		t.Errorf("the channels are %+v", list)
	}
}
