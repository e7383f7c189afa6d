package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// sharedSite has polls that share asks.
const sharedSite = `
http://{$SITE} {
	parker /messages {
		share public
		look_again off
		{$OPTIONS}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// answerIn returns the answer, and fails the test if none comes in time.
func answerIn(t *testing.T, answers <-chan caddytest.Answer) caddytest.Answer {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(caddytest.Patience):
		t.Fatal("no answer")
		return caddytest.Answer{}
	}
}

func TestShareSurvivesAskThatHangs(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=")
	url := "http://" + caddy.Site + "/messages"

	// The first ask hangs and its client gives up, after others have joined it.
	ctx, giveUp := context.WithCancel(t.Context())
	first := caddytest.Get(ctx, url)
	hung := backend.Next(t)
	second, third := caddytest.Get(t.Context(), url), caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, "asker.(*Asker).await", 2)
	giveUp()
	answerIn(t, first)

	// One of them asks after a while, and its answer serves the other.
	ask := backend.Next(t)
	backend.Unasked(t)
	ask.Answer(http.StatusOK, "news")
	for _, answers := range []<-chan caddytest.Answer{second, third} {
		if a := answerIn(t, answers); a.Body != "news" {
			t.Errorf("answered %+v", a)
		}
	}
	<-hung.Gone() // no poll waits for it any more
}

func TestShareAsksOnceMorePerIntervalWhileBackendHangs(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=asks 1")
	url := "http://" + caddy.Site + "/messages"
	var all []<-chan caddytest.Answer
	for range 20 {
		all = append(all, caddytest.Get(t.Context(), url))
	}
	// The place at the backend is freed as well: asks is 1.
	begin := time.Now()
	backend.Next(t)
	backend.Next(t)
	backend.Next(t).Answer(http.StatusOK, "news")
	if took := time.Since(begin); took < 8*time.Second {
		t.Errorf("the backend was asked a third time after %s", took)
	}
	backend.Unasked(t)
	for _, answers := range all {
		if a := answerIn(t, answers); a.Body != "news" {
			t.Errorf("answered %+v", a)
		}
	}
}

func TestShareLetsPollsLeaveHungAskOnEvent(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=")
	url := "http://" + caddy.Site + "/messages"
	first := caddytest.Get(t.Context(), url)
	backend.Next(t) // this ask hangs
	second := caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, "asker.(*Asker).await", 1)
	begin := time.Now()
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusOK, "news")
	for _, answers := range []<-chan caddytest.Answer{first, second} {
		if a := answerIn(t, answers); a.Body != "news" {
			t.Errorf("answered %+v", a)
		}
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the event released no poll for %s", took)
	}
}

func TestReplayThatHangsDelaysNoMessage(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=timeout 8s")
	url := "http://" + caddy.Site + "/messages"
	polls := []<-chan caddytest.Answer{caddytest.Get(t.Context(), url)}
	backend.Next(t).Answer(http.StatusNoContent, "")
	caddy.AwaitWaiting(t, "messages", 1)
	polls = append(polls, caddytest.Get(t.Context(), url))
	backend.Next(t).Answer(http.StatusNoContent, "")
	caddy.AwaitWaiting(t, "messages", 2)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t) // the replay hangs
	caddy.AwaitInside(t, "asker.(*Asker).await", 1)
	caddy.Publish(t, "messages", "text/plain", "hello")
	// One poll waits for the replay of the other and is released at once. The other
	// finds the message when its timeout ends.
	for _, answers := range polls {
		if a := answerIn(t, answers); a.Body != "hello" || a.Release() != "message" {
			t.Errorf("answered %+v", a)
		}
	}
}

func TestReplayThatHangsIsReplacedOnEvent(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a message": "hello", "a wake-up": ""} {
		t.Run(name, func(t *testing.T) {
			backend := caddytest.NewScripted(t)
			caddy := caddytest.Start(t, strings.Replace(sharedSite, "share public", "", 1), backend.Address, "OPTIONS=")
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
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, strings.Replace(sharedSite, "share public", "", 1), backend.Address, "OPTIONS=")
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

// holding starts a backend that holds each request for a while, as a long-poll server
// does.
func holding(t *testing.T, hold time.Duration) string {
	return caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(hold):
			fmt.Fprint(w, "news")
		case <-r.Context().Done():
		}
	})
}

func TestAsksQueueRefusesNobody(t *testing.T) {
	t.Parallel()
	site := strings.Replace(sharedSite, "share public", "asks 4", 1)
	caddy := caddytest.Start(t, site, holding(t, 7*time.Second), "OPTIONS=timeout 6s")
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			a := caddytest.Do(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/messages?n=%d", caddy.Site, i), "")
			if a.Status != http.StatusOK || a.Body != "news" {
				t.Errorf("answered %+v", a)
			}
		})
	}
	clients.Wait()
}

func TestNothingNewHoldsConfiguredErrorStatus(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=nothing_new {\nstatus 503\n}")
	answers := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	// A failure would be retried within two seconds.
	select {
	case <-backend.Asks():
		t.Error("the backend was asked again")
	case <-time.After(3 * time.Second):
	}
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusOK, "news")
	if a := answerIn(t, answers); a.Body != "news" {
		t.Errorf("answered %+v", a)
	}
}

func TestNotifyAnnouncementsDoNotWakeEachOtherEndlessly(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker /a a {
		look_again off
	}
	parker /b b {
		look_again off
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`, backend.Address)
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
	if answer := answerIn(t, b); answer.Body != "hello" {
		t.Errorf("answered %+v", answer)
	}
	backend.Unasked(t)
	caddy.Publish(t, "a", "text/plain", "hello")
	if answer := answerIn(t, a); answer.Body != "hello" {
		t.Errorf("answered %+v", answer)
	}
}
