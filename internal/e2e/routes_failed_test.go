package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestShareGivesFailureWholeToAll(t *testing.T) {
	t.Parallel()
	var asks atomic.Int32
	asked, proceed := make(chan struct{}, 10), make(chan struct{})
	address := caddytest.Serve(t, func(http.ResponseWriter, *http.Request) {
		asks.Add(1)
		asked <- struct{}{}
		<-proceed
		panic(http.ErrAbortHandler)
	})
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker
	route {
		header X-Inside yes
		reverse_proxy {$BACKEND}
	}
	handle_errors {
		respond "{err.status_code} for {uri}"
	}
}
`, address)
	first := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	<-asked
	second := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	caddy.AwaitInside(t, joined, 1)
	close(proceed)
	for _, answered := range []<-chan caddytest.Answer{first, second} {
		given := <-answered
		if given.Status != http.StatusBadGateway || given.Body != "502 for /feed" || given.Header.Get("X-Inside") != "yes" || given.Release() != "none" {
			t.Errorf("a poll was answered %+v", given)
		}
	}
	if n := asks.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestShareRetriesReplayAfterFirstAskFails(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	waiting := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(http.StatusOK, "[]")
	caddy.AwaitWaiting(t, "feed", 1)
	caddy.Publish(t, "feed", "", "")
	replay := backend.Next(t)

	// Polls that come after another event do not join the replay.
	caddy.Publish(t, "feed", "", "")
	first := caddytest.Get(t.Context(), url)
	ask := backend.Next(t)
	second := caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, joined, 1)
	ask.Answer(http.StatusServiceUnavailable, "restarting")
	for _, answered := range []<-chan caddytest.Answer{first, second} {
		if given := <-answered; given.Status != http.StatusServiceUnavailable || given.Body != "restarting" || given.Release() != "none" {
			t.Errorf("a first ask was answered %+v", given)
		}
	}

	replay.Answer(http.StatusServiceUnavailable, "restarting")
	backend.Next(t).Answer(http.StatusOK, "[1]")
	if given := <-waiting; given.Status != http.StatusOK || given.Body != "[1]" || given.Release() != "replay" {
		t.Errorf("the waiting poll was answered %+v", given)
	}
}
