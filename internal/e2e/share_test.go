package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// parking returns a site that parks all polls, with the given options and look_again
// off, and publishes each write on the channel that is its path.
func parking(options string) string {
	return `
http://{$SITE} {
	parker_notify
	parker {
		look_again off
		` + options + `
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`
}

// release publishes without a message and checks how many requests are released.
func release(t *testing.T, caddy *caddytest.Caddy, channel string, want int) {
	t.Helper()
	if published := caddy.Publish(t, channel, "", ""); !strings.Contains(published, fmt.Sprintf(`"released":%d}`, want)) {
		t.Errorf("the hook answered %s, want %d released", published, want)
	}
}

// The functions in which polls wait: for another poll's ask, in the queue for their
// own, and in the lot.
const (
	joined  = "asker.(*Asker).await"
	queued  = "asker.(*attempt).queue"
	waiting = "parking.(*Space).Wait"
)

func TestShareGivesMeetingPollsOneAskAndOneReplay(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
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
	caddy.AwaitInside(t, joined, polls-1)
	first.Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", polls)
	backend.Unasked(t)

	release(t, caddy, "feed", polls)
	backend.Next(t).Answer(200, "[1]")
	for _, answered := range parked {
		if g := <-answered; g.Status != 200 || g.Body != "[1]" || g.Release() != "replay" {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	backend.Unasked(t)
}

func TestShareStartsNewAskAfterPublish(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	for _, publish := range []func(){
		func() { release(t, caddy, "feed", 0) },
		func() {
			answered := make(chan caddytest.Answer, 1)
			go func() { answered <- caddytest.Do(t.Context(), http.MethodPost, url, "write") }()
			backend.Next(t).Answer(303, "", "Location: /")
			<-answered
		},
	} {
		before := caddytest.Get(t.Context(), url)
		older := backend.Next(t)
		publish()
		after := caddytest.Get(t.Context(), url)
		backend.Next(t).Answer(200, "[1]")
		if g := <-after; g.Body != "[1]" || g.Release() != "none" {
			t.Errorf("the poll after the publish was answered %+v", g)
		}
		older.Answer(200, "[]")
		backend.Next(t).Answer(200, "[1]")
		if g := <-before; g.Body != "[1]" || g.Release() != "replay" {
			t.Errorf("the poll before the publish was answered %+v", g)
		}
	}
}

// pollOf is a poll as a client sends it.
type pollOf struct {
	method, query, body string
	header              []string
}

func (p pollOf) send(t *testing.T, caddy *caddytest.Caddy) <-chan caddytest.Answer {
	answered := make(chan caddytest.Answer, 1)
	method := p.method
	if method == "" {
		method = http.MethodGet
	}
	go func() {
		answered <- caddytest.Do(t.Context(), method, "http://"+caddy.Site+"/feed"+p.query, p.body, p.header...)
	}()
	return answered
}

// senderOf returns everything in which the polls of these tests differ.
func senderOf(a *caddytest.Ask) string {
	who := []string{a.Request.Method, a.Request.URL.RawQuery, a.Body}
	for _, name := range slices.Sorted(maps.Keys(a.Request.Header)) {
		who = append(who, name+": "+strings.Join(a.Request.Header[name], ", "))
	}
	return fmt.Sprintf("%q", who)
}

func TestShareKeepsDifferingPollsApart(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("methods GET POST"), backend.Address)
	of := func(header ...string) pollOf { return pollOf{header: header} }
	for name, polls := range map[string][]pollOf{
		"Cookie":              {of("Cookie: user=a"), of("Cookie: user=b"), of()},
		"Authorization":       {of("Authorization: Bearer a"), of("Authorization: Bearer b"), of()},
		"both, swapped":       {of("Cookie: a", "Authorization: b"), of("Cookie: b", "Authorization: a"), of("Cookie: ab"), of("Authorization: ab")},
		"query":               {{query: "?since=1"}, {query: "?since=2"}, {}},
		"method":              {{method: http.MethodPost}, {method: http.MethodGet}},
		"body":                {{method: http.MethodPost, body: "a"}, {method: http.MethodPost, body: "b"}},
		"If-None-Match":       {of(`If-None-Match: "a"`), of(`If-None-Match: "b"`), of()},
		"If-Modified-Since":   {of("If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT"), of()},
		"If-Match":            {of(`If-Match: "a"`), of()},
		"If-Unmodified-Since": {of("If-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT"), of()},
		"Range":               {of("Range: bytes=0-1"), of("Range: bytes=2-3"), of()},
		"If-Range":            {of("Range: bytes=0-1", `If-Range: "a"`), of("Range: bytes=0-1", `If-Range: "b"`)},
		"Accept":              {of("Accept: text/html"), of("Accept: application/json")},
		"Accept-Encoding":     {of("Accept-Encoding: gzip"), of("Accept-Encoding: identity")},
		"Origin":              {of("Origin: https://a.example"), of("Origin: https://b.example")},
		"an API key":          {of("X-Api-Key: a"), of("X-Api-Key: b"), of("X-Auth-Token: a"), of()},
		"a user":              {of("Remote-User: a"), of("Remote-User: b")},
		"the language":        {of("Accept-Language: de"), of("Accept-Language: en")},
		"any field":           {of("X-Anything: a"), of("X-Anything: a", "X-Anything: b"), of("X-Other: a")},
		"Depth":               {of("Depth: 0"), of("Depth: 1")},
		"Content-Type":        {{method: http.MethodPost, header: []string{"Content-Type: a/b"}}, {method: http.MethodPost, header: []string{"Content-Type: a/c"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var parked []<-chan caddytest.Answer
			for _, poll := range polls {
				parked = append(parked, poll.send(t, caddy))
			}
			// Twice all polls are at the backend at the same time, each with its own
			// ask.
			var first, replays []*caddytest.Ask
			for range polls {
				first = append(first, backend.Next(t))
			}
			for _, ask := range first {
				ask.Answer(200, "[]")
			}
			caddy.AwaitWaiting(t, "feed", len(polls))
			release(t, caddy, "feed", len(polls))
			for range polls {
				replays = append(replays, backend.Next(t))
			}
			askers := make(map[string]bool)
			for _, ask := range replays {
				askers[senderOf(ask)] = true
				ask.Answer(200, senderOf(ask))
			}
			if len(askers) != len(polls) {
				t.Errorf("%d polls were replayed as %v", len(polls), askers)
			}
			for i, answered := range parked {
				g := <-answered
				if !askers[g.Body] || g.Release() != "replay" {
					t.Errorf("the poll %+v was answered %+v with release=%s", polls[i], g, g.Release())
				}
				for _, line := range polls[i].header {
					if _, value, _ := strings.Cut(line, ": "); !strings.Contains(g.Body, strings.Trim(fmt.Sprintf("%q", value), `"`)) {
						t.Errorf("the poll %+v was answered another's %s", polls[i], g.Body)
					}
				}
				delete(askers, g.Body)
			}
		})
	}
}

// The fields in Vary are known only with the answer: a poll that joined the ask may
// have to ask again.
func TestShareKeepsPollsApartByVary(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("share public"), backend.Address)
	language := func(a *caddytest.Ask) string { return a.Request.Header.Get("X-Language") }
	poll := func(language string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Language: "+language)
	}
	parked := map[string][]<-chan caddytest.Answer{"de": {poll("de")}}
	first := backend.Next(t)
	parked["de"] = append(parked["de"], poll("de"))
	parked["en"] = append(parked["en"], poll("en"), poll("en"))
	caddy.AwaitInside(t, joined, 3)
	first.Answer(200, "[]", "Vary: X-Other, x-language")
	second := backend.Next(t)
	if language(first) != "de" || language(second) != "en" {
		t.Errorf("asked in %s, then in %s", language(first), language(second))
	}
	caddy.AwaitInside(t, joined, 1)
	second.Answer(200, "[]", "Vary: X-Other", "Vary: X-Language")
	caddy.AwaitWaiting(t, "feed", 4)
	backend.Unasked(t)

	release(t, caddy, "feed", 4)
	for range 2 {
		ask := backend.Next(t)
		ask.Answer(200, language(ask), "Vary: X-Language, X-Other")
	}
	for language, polls := range parked {
		for _, answered := range polls {
			if g := <-answered; g.Body != language || g.Release() != "replay" {
				t.Errorf("a poll in %s was answered %+v", language, g)
			}
		}
	}
	backend.Unasked(t)
}

// Each answer varies by another field than the last one, so that with reuse no kept
// answer fits any poll.
func TestShareAnswersAllWhenVaryKeepsChanging(t *testing.T) {
	t.Parallel()
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", r.Header.Get("X-Vary"))
		io.WriteString(w, "[]")
	})
	caddy := caddytest.Start(t, parking("share public\nreuse 1m"), backend)
	for _, header := range [][]string{
		{"X-Y: 1", "X-Z: 2", "X-Vary: X-Z"},
		{"X-Y: 2", "X-Z: 1", "X-Vary: X-Y"},
		{"X-Y: 9", "X-Z: 3", "X-Vary: X-Y"},
		{"X-Y: 1", "X-Z: 3", "X-Vary: X-Z"},
		{"X-Y: 1", "X-Z: 1", "X-Vary: X-Y"},
		{"X-Y: 1", "X-Z: 1", "X-Vary: X-Y"},
	} {
		if g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/feed", "", append(header, "Prefer: wait=0")...); g.Body != "[]" {
			t.Fatalf("the poll with %v was answered %+v", header, g)
		}
	}
}

func TestShareExcludesPersonalAndLargeAnswers(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("max_body 2KB"), backend.Address)
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
				answers = append(answers, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: user=a", "Prefer: wait=5"))
			}
			number := func(text string, n int) string { return strings.ReplaceAll(text, "%d", fmt.Sprint(n)) }
			poll()
			asks := []*caddytest.Ask{backend.Next(t)}
			for range polls - 1 {
				poll()
			}
			caddy.AwaitInside(t, joined, polls-1)
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
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("share public"), backend.Address)
	poll := func(user, prefer string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: user="+user, "Authorization: Bearer "+user, "Prefer: "+prefer)
	}
	for _, body := range []string{"[1]", "[]"} {
		asking := poll("a", "wait=5")
		ask := backend.Next(t)
		others := []<-chan caddytest.Answer{poll("b", "wait=5"), poll("c", "wait=5")}
		caddy.AwaitInside(t, joined, 2)
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
	caddy.AwaitInside(t, joined, 1)
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
