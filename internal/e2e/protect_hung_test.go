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

// sharedSite has polls that share what the backend is asked.
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

// answerIn is the answer within a test's patience.
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

func TestAnAskThatHangsHoldsBackNobodyWhoShares(t *testing.T) {
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=")
	url := "http://" + caddy.Site + "/messages"

	// The first hangs, and its client gives up. Others wait with it by then.
	ctx, giveUp := context.WithCancel(t.Context())
	first := caddytest.Get(ctx, url)
	hung := backend.Next(t)
	second, third := caddytest.Get(t.Context(), url), caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, "poll.(*Poll).await", 2)
	giveUp()
	answerIn(t, first)

	// One of them asks after a while, the other is served with it.
	ask := backend.Next(t)
	backend.Unasked(t)
	ask.Answer(http.StatusOK, "news")
	for _, answers := range []<-chan caddytest.Answer{second, third} {
		if a := answerIn(t, answers); a.Body != "news" {
			t.Errorf("answered %+v", a)
		}
	}
	<-hung.Gone() // nobody waits for it any more
}

func TestOneMoreAsksForEachWhileThatTheBackendDoesNotAnswer(t *testing.T) {
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=asks 1")
	url := "http://" + caddy.Site + "/messages"
	var all []<-chan caddytest.Answer
	for range 20 {
		all = append(all, caddytest.Get(t.Context(), url))
	}
	// The place at the backend is given on as well: asks is 1.
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

func TestAnEventFreesPollsThatWaitForAnotherAsk(t *testing.T) {
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=")
	url := "http://" + caddy.Site + "/messages"
	first := caddytest.Get(t.Context(), url)
	backend.Next(t) // it hangs
	second := caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, "poll.(*Poll).await", 1)
	begin := time.Now()
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusOK, "news")
	for _, answers := range []<-chan caddytest.Answer{first, second} {
		if a := answerIn(t, answers); a.Body != "news" {
			t.Errorf("answered %+v", a)
		}
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the event freed nobody for %s", took)
	}
}

func TestAMessageReachesPollsWhoseReplayHangs(t *testing.T) {
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
	caddy.AwaitInside(t, "poll.(*Poll).await", 1)
	caddy.Publish(t, "messages", "text/plain", "hello")
	// One waits for the other's replay and is free at once; the other looks at what has
	// come when its time is over.
	for _, answers := range polls {
		if a := answerIn(t, answers); a.Body != "hello" || a.Release() != "message" {
			t.Errorf("answered %+v", a)
		}
	}
}

func TestAnEventFreesAPollWhoseOwnReplayHangs(t *testing.T) {
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

// holding is a backend that itself holds each request for a while, as a long-poll
// server of its own does.
func holding(t *testing.T, hold time.Duration) string {
	return caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(hold):
			fmt.Fprint(w, "news")
		case <-r.Context().Done():
		}
	})
}

func TestAsksRefusesNobody(t *testing.T) {
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

func TestHandlersThatOverlapHoldARequestOnce(t *testing.T) {
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker outer
	route /api/* {
		parker /api/chat chat
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`, backend.Address)
	url := "http://" + caddy.Site + "/api/chat"
	var all []<-chan caddytest.Answer
	for i := range 6 {
		all = append(all, caddytest.Get(t.Context(), url, "X-Client: "+string(rune('a'+i))))
		backend.Next(t).Answer(http.StatusOK, "[]")
	}
	caddy.AwaitWaiting(t, "chat", 6)
	if a := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/outer", ""); !strings.Contains(a.Body, `"waiting":0`) {
		t.Errorf("on the outer channel: %s", a.Body)
	}
	caddy.Publish(t, "chat", "", "")
	for range all {
		backend.Next(t).Answer(http.StatusOK, "news")
	}
	for _, answers := range all {
		a := answerIn(t, answers)
		if a.Body != "news" || len(a.Header["Parker-Status"]) != 1 || a.Release() != "replay" {
			t.Errorf("answered %+v", a)
		}
	}
	// What only the outer one fits is held there.
	other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/api/users")
	backend.Next(t).Answer(http.StatusOK, "[]")
	caddy.AwaitWaiting(t, "outer", 1)
	caddy.Publish(t, "outer", "text/plain", "hello")
	if a := answerIn(t, other); a.Body != "hello" {
		t.Errorf("answered %+v", a)
	}
}

func TestHandlersThatOverlapHandARequestOverInAReload(t *testing.T) {
	backend := caddytest.NewScripted(t)
	site := `
http://{$SITE} {
	parker outer {
		name outer{$REVISION}
		look_again off
	}
	route /api/* {
		parker /api/chat chat {
			look_again off
		}
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`
	caddy := caddytest.Start(t, site, backend.Address, "REVISION=0")
	url := "http://" + caddy.Site + "/api/chat"
	answers := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(http.StatusOK, "[]")
	go func() { (<-backend.Asks()).Answer(http.StatusOK, "[]") }()
	stream := caddytest.Listen(t, url)
	caddy.AwaitWaiting(t, "chat", 1)
	for i := range 3 {
		caddy.Reload(t, strings.ReplaceAll(site, "{$REVISION}", fmt.Sprint(i+1)))
		caddy.Publish(t, "chat", "", "")
		for range 2 {
			ask := backend.Next(t)
			if !strings.Contains(ask.Request.Header.Get("Accept"), "event-stream") {
				ask.Answer(http.StatusOK, "[]")
			} else {
				ask.Answer(http.StatusOK, fmt.Sprint("event ", i))
			}
		}
		if e := stream.Next(t); e.Data != fmt.Sprint("event ", i) {
			t.Fatalf("the stream was sent %+v", e)
		}
		caddy.AwaitWaiting(t, "chat", 1)
	}
	caddy.Publish(t, "chat", "text/plain", "hello")
	if a := answerIn(t, answers); a.Body != "hello" || len(a.Header["Parker-Status"]) != 1 {
		t.Errorf("answered %+v", a)
	}
}

func TestAStatusThatTheRulesNameIsHeldAlsoWhereItSpeaksOfAFailure(t *testing.T) {
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, sharedSite, backend.Address, "OPTIONS=nothing_new {\nstatus 503\n}")
	answers := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.AwaitWaiting(t, "messages", 1)
	// A failure would be asked for again within two seconds.
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

func TestAnnouncementsOnNothingNewAnswersDoNotChaseEachOther(t *testing.T) {
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
	backend.Next(t).Answer(http.StatusNoContent, "", announce) // of /a, once
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

func TestAnErrorBehindHandlersThatOverlapKeepsItsHeader(t *testing.T) {
	caddy := caddytest.Start(t, `
http://{$SITE} {
	route {
		parker news
		handle {
			parker news
			header X-App one
			error "not now" 503
		}
	}
}
`, "")
	a := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/", "")
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("X-App") != "one" || len(a.Header["Parker-Status"]) != 1 {
		t.Errorf("answered %+v", a)
	}
}
