package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// sharedSite has polls that share asks.
var sharedSite = withHook(`
	parker /messages {
		share public
		look_again off
		{$OPTIONS}
	}
	reverse_proxy {$BACKEND}
`)

func TestShareSurvivesAskThatHangs(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, sharedSite, "OPTIONS=")
	url := "http://" + caddy.Site + "/messages"

	// The first ask hangs and its client gives up, after others have joined it.
	ctx, giveUp := context.WithCancel(t.Context())
	first := caddytest.Get(ctx, url)
	hung := backend.Next(t)
	second, third := caddytest.Get(t.Context(), url), caddytest.Get(t.Context(), url)
	awaitJoined(t, caddy, 2)
	giveUp()
	answerIn(t, first)

	// One of them asks after a while, and its answer serves the other.
	ask := backend.Next(t)
	backend.Unasked(t)
	ask.Answer(http.StatusOK, "news")
	expect(t, "news", "", second, third)
	<-hung.Gone() // no poll waits for it any more
}

func TestReplayThatHangsDelaysNoMessage(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, sharedSite, "OPTIONS=timeout 8s")
	url := "http://" + caddy.Site + "/messages"
	polls := []<-chan caddytest.Answer{caddytest.Get(t.Context(), url)}
	backend.Next(t).Answer(http.StatusNoContent, "")
	caddy.AwaitWaiting(t, "messages", 1)
	polls = append(polls, caddytest.Get(t.Context(), url))
	backend.Next(t).Answer(http.StatusNoContent, "")
	caddy.AwaitWaiting(t, "messages", 2)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t) // the replay hangs
	awaitJoined(t, caddy, 1)
	caddy.Publish(t, "messages", "text/plain", "hello")
	// One poll waits for the replay of the other and is released at once. The other
	// finds the message when its timeout ends.
	expect(t, "hello", "message", polls...)
}

func TestReplayThatHangsIsReplacedOnEvent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"hello", ""} { // a message, a wake-up
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			caddy, backend := startScripted(t, strings.Replace(sharedSite, "share public", "", 1), "OPTIONS=")
			poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
			backend.Next(t).Answer(http.StatusNoContent, "")
			caddy.AwaitWaiting(t, "messages", 1)
			caddy.Publish(t, "messages", "", "")
			hung := backend.Next(t)
			caddy.Publish(t, "messages", "text/plain", body)
			if body == "" {
				backend.Next(t).Answer(http.StatusOK, "news")
			}
			if a := answerIn(t, poll); a.Body != "hello" && a.Body != "news" {
				t.Errorf("answered %+v", a)
			}
			<-hung.Gone()
		})
	}
}

// A stream takes all queued events at once and sends them in order.
func TestStreamGetsMessageWhileReplayHangs(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, strings.Replace(sharedSite, "share public", "", 1), "OPTIONS=")
	go func() { (<-backend.Asks()).Answer(http.StatusOK, "[]") }()
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/messages")
	caddy.Publish(t, "messages", "", "")
	first := backend.Next(t)
	caddy.Publish(t, "messages", "", "")
	caddy.Publish(t, "messages", "text/plain", "hello")
	first.Answer(http.StatusOK, "one")
	one := stream.Next(t)
	hung := backend.Next(t)
	if e := stream.Next(t); one.Data != "one" || e.Data != "hello" || e.ID != one.ID {
		t.Errorf("the stream received %+v and %+v", one, e)
	}
	<-hung.Gone()
	backend.Next(t).Answer(http.StatusOK, "two")
	if e := stream.Next(t); e.Data != "two" || e.ID == one.ID {
		t.Errorf("the stream received %+v", e)
	}
}

func TestAsksQueueRefusesNobody(t *testing.T) {
	t.Parallel()
	holding := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { // as a long-poll server does
		select {
		case <-time.After(3 * time.Second):
			fmt.Fprint(w, "news")
		case <-r.Context().Done():
		}
	})
	caddy := caddytest.Start(t, strings.Replace(sharedSite, "share public", "asks 4", 1), holding, "OPTIONS=timeout 2s")
	var polls []<-chan caddytest.Answer
	for i := range 12 {
		polls = append(polls, caddytest.Get(t.Context(), fmt.Sprintf("http://%s/messages?n=%d", caddy.Site, i)))
	}
	expect(t, "news", "", polls...)
}

func TestNothingNewHoldsConfiguredErrorStatus(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, sharedSite, "OPTIONS=name messages\nnothing_new {\nstatus 503\n}")
	answers := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	if failed := figures(t, caddy)[`parker_replays_failed_total{handler="messages"}`]; failed != 0 {
		t.Errorf("%v replays failed, which would be retried", failed)
	}
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusOK, "news")
	expect(t, "news", "", answers)
}

func TestNotifyAnnouncementsDoNotWakeEachOtherEndlessly(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook(`
	parker /a a {
		look_again off
	}
	parker /b b {
		look_again off
	}
	reverse_proxy {$BACKEND}
`))
	announce := "Parker-Publish: a, b"
	a := caddytest.Get(t.Context(), "http://"+caddy.Site+"/a")
	backend.Next(t).Answer(http.StatusNoContent, "", announce)
	caddy.AwaitWaiting(t, "a", 1)
	b := caddytest.Get(t.Context(), "http://"+caddy.Site+"/b")
	backend.Next(t).Answer(http.StatusNoContent, "", announce)
	backend.Next(t).Answer(http.StatusNoContent, "", announce) // of the poll on /a, once
	caddy.AwaitWaiting(t, "a", 1)
	caddy.AwaitWaiting(t, "b", 1)
	caddy.Publish(t, "b", "text/plain", "hello")
	expect(t, "hello", "", b)
	backend.Unasked(t)
	caddy.Publish(t, "a", "text/plain", "hello")
	expect(t, "hello", "", a)
}
