package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestShareGivesMeetingPollsOneAskAndOneReplay(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	const polls = 50
	var parked []<-chan caddytest.Answer
	poll := func() {
		parked = append(parked, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: user=a"))
	}
	poll()
	first := backend.Next(t)
	for range polls - 1 {
		poll()
	}
	awaitJoined(t, caddy, polls-1)
	first.Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", polls)
	backend.Unasked(t)

	release(t, caddy, "feed", polls)
	backend.Next(t).Answer(200, "[1]")
	expect(t, "[1]", "replay", parked...)
	backend.Unasked(t)
}

func TestShareStartsNewAskAfterPublish(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	url := "http://" + caddy.Site + "/feed"
	for _, publish := range []func(){
		func() { release(t, caddy, "feed", 0) },
		func() {
			answered := doLater(t, http.MethodPost, url, "write")
			backend.Next(t).Answer(303, "", "Location: /")
			<-answered
		},
	} {
		before := caddytest.Get(t.Context(), url)
		older := backend.Next(t)
		publish()
		after := caddytest.Get(t.Context(), url)
		backend.Next(t).Answer(200, "[1]")
		expect(t, "[1]", "none", after)
		older.Answer(200, "[]")
		backend.Next(t).Answer(200, "[1]")
		expect(t, "[1]", "replay", before)
	}
}

// The fields in Vary are known only with the answer: a poll that joined the ask may
// have to ask again.
func TestShareKeepsPollsApartByVary(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("share public"))
	language := func(a *caddytest.Ask) string { return a.Request.Header.Get("X-Language") }
	poll := func(language string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Language: "+language)
	}
	parked := map[string][]<-chan caddytest.Answer{"de": {poll("de")}}
	first := backend.Next(t)
	parked["de"] = append(parked["de"], poll("de"))
	parked["en"] = append(parked["en"], poll("en"), poll("en"))
	awaitJoined(t, caddy, 3)
	first.Answer(200, "[]", "Vary: X-Other, x-language")
	second := backend.Next(t)
	if language(first) != "de" || language(second) != "en" {
		t.Errorf("asked in %s, then in %s", language(first), language(second))
	}
	awaitJoined(t, caddy, 1)
	second.Answer(200, "[]", "Vary: X-Other", "Vary: X-Language")
	caddy.AwaitWaiting(t, "feed", 4)
	backend.Unasked(t)

	release(t, caddy, "feed", 4)
	for range 2 {
		ask := backend.Next(t)
		ask.Answer(200, language(ask), "Vary: X-Language, X-Other")
	}
	for language, polls := range parked {
		expect(t, language, "replay", polls...)
	}
	backend.Unasked(t)
}

func TestShareExcludesPersonalAndLargeAnswers(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("max_body 2KB"))
	for name, test := range map[string]struct{ body, header string }{
		"the answer sets a cookie":               {body: "[%d]", header: "Set-Cookie: for=%d"},
		"the answer varies by everything":        {body: "[%d]", header: "Vary: *, X-For%d"},
		"the answer is larger than is kept":      {body: strings.Repeat("%d,", 1500), header: "X-For: %d"},
		"the answer is much larger than is kept": {body: strings.Repeat("%d,", 100_000), header: "X-For: %d"},
		"a nothing-new answer sets a cookie":     {body: "[]", header: "Set-Cookie: for=%d"},
	} {
		t.Run(name, func(t *testing.T) {
			const polls = 4
			var answers []<-chan caddytest.Answer
			poll := func() {
				answers = append(answers, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: user=a", "Prefer: wait=2"))
			}
			number := func(text string, n int) string { return strings.ReplaceAll(text, "%d", fmt.Sprint(n)) }
			poll()
			asks := []*caddytest.Ask{backend.Next(t)}
			for range polls - 1 {
				poll()
			}
			awaitJoined(t, caddy, polls-1)
			for i := range polls {
				if i > 0 {
					asks = append(asks, backend.Next(t))
				}
				asks[i].Answer(200, number(test.body, i+1), number(test.header, i+1))
			}
			given := make(map[int]bool)
			for _, answered := range answers {
				g := <-answered
				for n := range polls + 1 {
					name, value, _ := strings.Cut(number(test.header, n), ": ")
					if g.Body == number(test.body, n) && g.Header.Get(name) == value && len(g.Header[name]) == 1 {
						given[n] = true
					}
				}
			}
			if len(given) != polls {
				t.Errorf("the polls got only the answers %v", given)
			}
			backend.Unasked(t)
		})
	}
}

func TestSharePublicSharesAllButCookies(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("share public"))
	poll := func(user, prefer string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: user="+user, "Authorization: Bearer "+user, "Prefer: "+prefer)
	}
	for _, body := range []string{"[1]", "[]"} {
		asking := poll("a", "wait=2")
		ask := backend.Next(t)
		others := []<-chan caddytest.Answer{poll("b", "wait=2"), poll("c", "wait=2")}
		awaitJoined(t, caddy, 2)
		ask.Answer(200, body, "Set-Cookie: session=a", "Set-Cookie: theme=a", "X-Legacy: yes")
		if g := <-asking; g.Body != body || !slices.Equal(g.Header["Set-Cookie"], []string{"session=a", "theme=a"}) {
			t.Errorf("the client that asked was answered %+v", g)
		}
		for _, answered := range others {
			if g := <-answered; g.Body != body || g.Header.Get("X-Legacy") != "yes" || g.Header["Set-Cookie"] != nil {
				t.Errorf("the other client was answered %+v", g)
			}
		}
		backend.Unasked(t)
	}

	// Replays are shared in the same way.
	parked := []<-chan caddytest.Answer{poll("a", "")}
	backend.Next(t).Answer(200, "[]", "Set-Cookie: session=a")
	caddy.AwaitWaiting(t, "feed", 1)
	parked = append(parked, poll("b", ""))
	backend.Next(t).Answer(200, "[]", "Set-Cookie: session=b")
	caddy.AwaitWaiting(t, "feed", 2)
	release(t, caddy, "feed", 2)
	replay := backend.Next(t)
	awaitJoined(t, caddy, 1)
	replay.Answer(200, "[1]", "Set-Cookie: news=1")
	news := 0
	for i, answered := range parked {
		g := <-answered
		if g.Body != "[1]" || len(g.Header["Set-Cookie"]) == 0 || g.Header["Set-Cookie"][0] != "session="+string("ab"[i]) {
			t.Errorf("poll %d was answered %+v", i, g)
		}
		news += len(g.Header["Set-Cookie"]) - 1
	}
	if news != 1 {
		t.Errorf("%d clients got the replay's cookie", news)
	}
}

func TestReuseServesNothingNewAnswerUntilPublish(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("reuse 1m"))
	url := "http://" + caddy.Site + "/feed"
	var parked []<-chan caddytest.Answer
	for i := range 5 {
		parked = append(parked, caddytest.Get(t.Context(), url))
		if i == 0 {
			backend.Next(t).Answer(200, "[]")
		}
		caddy.AwaitWaiting(t, "feed", i+1)
	}
	expect(t, "[]", "", caddytest.Get(t.Context(), url, "Prefer: wait=0"))
	backend.Unasked(t)

	// One of the waiting polls asks, and its answer is reused again.
	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", 5)
	expect(t, "[]", "", caddytest.Get(t.Context(), url, "Prefer: wait=0"))
	backend.Unasked(t)

	release(t, caddy, "feed", 5)
	backend.Next(t).Answer(200, "[1]")
	expect(t, "[1]", "replay", parked...)
	backend.Unasked(t)

	// News is not reused for later polls.
	news := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(200, "[2]")
	expect(t, "[2]", "none", news)
}
