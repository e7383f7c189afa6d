package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestLimitsPerClientCapsParkedRequests(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, "{\n{$GLOBAL}\nservers {\ntrusted_proxies static 127.0.0.1\n}\n}\n"+parking("per_client 2"), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	ctx, leave := context.WithCancel(t.Context())
	left := caddytest.Get(ctx, url, "X-Forwarded-For: 192.0.2.1")
	parked := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.1")
	caddy.AwaitWaiting(t, "feed", 2)
	if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "X-Forwarded-For: 192.0.2.1"); g.Status != 200 || g.Body != "[]" || g.Release() != "full" {
		t.Errorf("the poll beyond the limit was answered %+v", g)
	}
	other := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.2")
	caddy.AwaitWaiting(t, "feed", 3)

	// A poll that ends makes room.
	leave()
	<-left
	caddy.AwaitWaiting(t, "feed", 2)
	again := caddytest.Get(t.Context(), url, "X-Forwarded-For: 192.0.2.1")
	caddy.AwaitWaiting(t, "feed", 3)
	caddy.Publish(t, "feed", "", "hello")
	for _, answered := range []<-chan caddytest.Answer{parked, other, again} {
		if g := <-answered; g.Body != "hello" {
			t.Errorf("a parked poll was answered %+v", g)
		}
	}
}

func TestLimitsMaxParkedGivesBackendsAnswer(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, "{\n{$GLOBAL}\nparker {\nmax_parked 3\n}\n}\n"+parking(""), backend.Address)
	url := "http://" + caddy.Site
	var parked []<-chan caddytest.Answer
	for i := range 3 {
		parked = append(parked, caddytest.Get(t.Context(), fmt.Sprintf("%s/feed/%d", url, i)))
		caddy.AwaitWaiting(t, fmt.Sprintf("feed/%d", i), 1)
	}
	if g := caddytest.Do(t.Context(), http.MethodGet, url+"/feed/3", ""); g.Status != 200 || g.Body != "[]" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "full" {
		t.Errorf("the poll beyond the limit was answered %+v", g)
	}
	caddytest.Do(t.Context(), http.MethodPost, url+"/feed/0", "hello")
	if g := <-parked[0]; g.Body != `["hello"]` || g.Release() != "replay" {
		t.Errorf("a parked poll was answered %+v", g)
	}
	parked[0] = caddytest.Get(t.Context(), url+"/feed/3?since=1")
	caddy.AwaitWaiting(t, "feed/3", 1)
}

// A page polls by setInterval without waiting for its last poll.
func TestSupersedeEndsOlderPollOfPage(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, parking("supersede {remote_host} {header.User-Agent}"), backend.Address)
	url := "http://" + caddy.Site
	others := []<-chan caddytest.Answer{
		caddytest.Get(t.Context(), url+"/feed", "User-Agent: other"),
		caddytest.Get(t.Context(), url+"/other", "User-Agent: page"),
	}
	caddy.AwaitWaiting(t, "feed", 1)
	caddy.AwaitWaiting(t, "other", 1)
	newest := caddytest.Get(t.Context(), url+"/feed", "User-Agent: page")
	caddy.AwaitWaiting(t, "feed", 2)
	for range 9 {
		older := newest
		newest = caddytest.Get(t.Context(), url+"/feed", "User-Agent: page")
		if g := <-older; g.Status != 200 || g.Body != "[]" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "timeout" {
			t.Errorf("an older poll was answered %+v", g)
		}
		caddy.AwaitWaiting(t, "feed", 2)
	}
	caddy.AwaitWaiting(t, "other", 1)
	caddy.Publish(t, "feed", "", "hello")
	caddy.Publish(t, "other", "", "hello")
	for _, answered := range append(others, newest) {
		if g := <-answered; g.Body != "hello" {
			t.Errorf("a poll that was not superseded was answered %+v", g)
		}
	}
}

func TestSupersedeHoldsOneOfSimultaneousPolls(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("supersede {header.User-Agent}"), backend.Address)
	const polls = 10
	answers := make(chan caddytest.Answer, polls)
	poll := func() {
		answers <- caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/feed", "", "User-Agent: page")
	}
	go poll()
	ask := backend.Next(t)
	for range polls - 1 {
		go poll()
	}
	caddy.AwaitInside(t, joined, polls-1)
	ask.Answer(200, "[]")
	for range polls - 1 {
		if g := <-answers; g.Body != "[]" || g.Release() != "timeout" {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	caddy.AwaitWaiting(t, "feed", 1)
	caddy.Publish(t, "feed", "", "hello")
	if g := <-answers; g.Body != "hello" {
		t.Errorf("the poll that was held was answered %+v", g)
	}
}
