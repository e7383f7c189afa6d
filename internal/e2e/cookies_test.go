package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// rotating is a backend that sets a new session ID with every answer and rejects the
// previous one as stolen.
type rotating struct {
	mu       sync.Mutex // guards all below
	session  int
	asks     int
	messages []string
}

func (b *rotating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks++
	if cookie, err := r.Cookie("session"); r.URL.Path != "/login" && (err != nil || cookie.Value != fmt.Sprint(b.session)) {
		http.Error(w, fmt.Sprintf("your session is over: %s, not %d", r.Header.Get("Cookie"), b.session), http.StatusUnauthorized)
		return
	}
	b.session++
	http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(b.session), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	var since int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	if since < len(b.messages) {
		io.WriteString(w, b.messages[since])
	}
}

func (b *rotating) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asks
}

func (b *rotating) add(message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, message)
}

func TestCookiesKeepRotatingSessionAlive(t *testing.T) {
	t.Parallel()
	backend := new(rotating)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker /feed
	parker /watched {
		watch 20ms
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`, caddytest.Serve(t, backend.ServeHTTP))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: caddytest.ClientPatience}
	get := func(path, prefer string) <-chan caddytest.Answer {
		answered := make(chan caddytest.Answer, 1)
		go func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+caddy.Site+path, nil)
			r.Header.Set("Prefer", prefer)
			answer, err := client.Do(r)
			if err != nil {
				answered <- caddytest.Answer{Err: err}
				return
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			answered <- caddytest.Answer{Status: answer.StatusCode, Header: answer.Header, Body: string(text), Err: err}
		}()
		return answered
	}
	check := func(answered <-chan caddytest.Answer, body, release string) {
		t.Helper()
		g := <-answered
		if g.Status != 200 || g.Body != body || g.Release() != release || len(g.Header["Set-Cookie"]) != 1 {
			t.Fatalf("the poll was answered %+v, want %q after %s", g, body, release)
		}
	}
	if g := <-get("/login", ""); g.Status != 200 {
		t.Fatalf("the login was answered %+v", g)
	}
	for i := range 2 {
		// Each poll is parked, woken without news, and replayed.
		parked := get(fmt.Sprintf("/feed?since=%d", 2*i), "")
		caddy.AwaitWaiting(t, "feed", 1)
		for range 3 {
			asked := backend.asked()
			release(t, caddy, "feed", 1)
			caddytest.Await(t, "the backend is asked again", func() bool { return backend.asked() > asked })
			caddy.AwaitWaiting(t, "feed", 1)
		}
		backend.add("news")
		release(t, caddy, "feed", 1)
		check(parked, "news", "replay")

		parked = get(fmt.Sprintf("/feed?since=%d", 2*i+1), "")
		caddy.AwaitWaiting(t, "feed", 1)
		caddy.Publish(t, "feed", "", "a message")
		check(parked, "a message", "message")

		check(get(fmt.Sprintf("/feed?since=%d", 2*i+1), "wait=1"), "", "timeout")

		parked = get(fmt.Sprintf("/watched?since=%d", 2*i+1), "")
		asked := backend.asked()
		caddytest.Await(t, "the backend is asked 3 times more", func() bool { return backend.asked() >= asked+3 })
		backend.add("watched")
		check(parked, "watched", "watch")
	}
}

// held parks a poll that sends the client's cookies, and whose held answer sets others.
// It returns the poll and its replay.
func held(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, has string, set ...string) (<-chan caddytest.Answer, *caddytest.Ask) {
	t.Helper()
	header := []string{"Cookie: " + has}
	if has == "" {
		header = nil
	}
	for i := range set {
		set[i] = "Set-Cookie: " + set[i]
	}
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/app/feed", header...)
	backend.Next(t).Answer(200, "[]", set...)
	caddy.AwaitWaiting(t, "app/feed", 1)
	release(t, caddy, "app/feed", 1)
	return parked, backend.Next(t)
}

func TestCookiesOfHeldAnswerReachReplayAndClient(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	for name, test := range map[string]struct {
		has   string   // the client's Cookie field
		set   []string // by the held answer
		sent  string   // the replay's Cookie field
		own   []string // set by the replay's answer
		given []string // to the client
	}{
		"several": {
			has: "theme=dark; session=1; lang=en", set: []string{"session=2; Path=/; HttpOnly", "csrf=a; Path=/"},
			sent:  "theme=dark; session=2; lang=en; csrf=a",
			given: []string{"session=2; Path=/; HttpOnly", "csrf=a; Path=/"},
		},
		"the first ever": {
			set: []string{`session="1"; Max-Age=3600`}, sent: `session="1"`, given: []string{`session="1"; Max-Age=3600`},
		},
		"the same one twice": {
			has: "session=1", set: []string{"session=2", "session=3"}, sent: "session=3", given: []string{"session=3"},
		},
		"deleted by its age": {
			has: "session=1; theme=dark", set: []string{"session=; Max-Age=0; Path=/"}, sent: "theme=dark", given: []string{"session=; Max-Age=0; Path=/"},
		},
		"deleted by its date": {
			has: "session=1", set: []string{"session=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, sent: "", given: []string{"session=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT"},
		},
		"to last": {
			has: "session=1", set: []string{"session=2; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, sent: "session=2", given: []string{"session=2; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"},
		},
		"for other paths": {
			has: "a=1", set: []string{"a=2; Path=/other", "b=2; Path=/app/feed/more", "c=2; Path=/ap"}, sent: "a=1", given: []string{"a=2; Path=/other", "b=2; Path=/app/feed/more", "c=2; Path=/ap"},
		},
		"for this path": {
			has: "a=1", set: []string{"a=2; Path=/app", "b=2; Path=/app/", "c=2; Path=/app/feed"}, sent: "a=2; b=2; c=2", given: []string{"a=2; Path=/app", "b=2; Path=/app/", "c=2; Path=/app/feed"},
		},
		"set anew by the final answer": {
			has: "session=1", set: []string{"session=2; Path=/", "csrf=a"}, own: []string{"session=3; Path=/; HttpOnly", "other=1"}, sent: "session=2; csrf=a",
			given: []string{"csrf=a", "session=3; Path=/; HttpOnly", "other=1"},
		},
		"deleted by the final answer": {
			set: []string{"session=2; Path=/"}, own: []string{"session=; Path=/; Max-Age=0"}, sent: "session=2", given: []string{"session=; Path=/; Max-Age=0"},
		},
		"set by the final answer for another path": {
			set: []string{"session=2; Path=/"}, own: []string{"session=3; Path=/other"}, sent: "session=2", given: []string{"session=2; Path=/", "session=3; Path=/other"},
		},
		"behind a proxy that speaks TLS for Caddy": {
			has: "session=1", set: []string{"session=2; Secure"}, sent: "session=2", given: []string{"session=2; Secure"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			parked, replay := held(t, caddy, backend, test.has, slices.Clone(test.set)...)
			if sent := strings.Join(replay.Request.Header["Cookie"], " | "); sent != test.sent {
				t.Errorf("the replay has the cookies %q, want %q", sent, test.sent)
			}
			var own []string
			for _, line := range test.own {
				own = append(own, "Set-Cookie: "+line)
			}
			replay.Answer(200, "[1]", own...)
			if g := <-parked; g.Body != "[1]" || !slices.Equal(g.Header["Set-Cookie"], test.given) {
				t.Errorf("the client was given %q, want %q", g.Header["Set-Cookie"], test.given)
			}
		})
	}
}

// A streamed answer gets the cookies of the held answer, too.
func TestCookiesOfHeldAnswerReachStreamedAnswer(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("max_body 1KB"), backend.Address)
	parked, replay := held(t, caddy, backend, "session=1", "session=2")
	large := strings.Repeat("large ", 10_000)
	replay.Answer(200, large, "Set-Cookie: other=1")
	if g := <-parked; g.Body != large || !slices.Equal(g.Header["Set-Cookie"], []string{"session=2", "other=1"}) {
		t.Errorf("the client was given %q", g.Header["Set-Cookie"])
	}

	parked, replay = held(t, caddy, backend, "session=1", "session=2")
	replay.Answer(500, "sorry")
	if g := <-parked; g.Status != 500 || !slices.Equal(g.Header["Set-Cookie"], []string{"session=2"}) {
		t.Errorf("the client was answered %d and given %q", g.Status, g.Header["Set-Cookie"])
	}
}

// Cookie paths are matched against the path that the client asked for.
func TestCookiesMatchPathOfClientsRequest(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	handle_path /app/* {
		parker app/feed
		reverse_proxy {$BACKEND}
	}
}
http://{$HOOK} {
	parker_publish
}
`, backend.Address)
	parked, replay := held(t, caddy, backend, "session=1", "session=2; Path=/app")
	if sent := replay.Request.Header.Get("Cookie"); sent != "session=2" {
		t.Errorf("the replay has the cookies %q", sent)
	}
	replay.Answer(200, "[1]")
	if g := <-parked; !slices.Equal(g.Header["Set-Cookie"], []string{"session=2; Path=/app"}) {
		t.Errorf("the client was given %q", g.Header["Set-Cookie"])
	}
}

// Browsers accept cookie values that Go's parser rejects.
func TestCookiesWithUnusualValuesReachEachReplay(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	for name, value := range map[string]string{
		"JSON":        `{"session":%d,"roles":["a","b"]}`,
		"UTF-8":       "grüße-%d",
		"a backslash": `a\b-%d`,
		"quotes":      `say "hello" %d`,
		"a comma":     "a,b,%d",
		"spaces":      "a  b %d c",
	} {
		t.Run(name, func(t *testing.T) {
			cookie := func(n int) string { return "session=" + fmt.Sprintf(value, n) }
			parked, replay := held(t, caddy, backend, "lang=en; "+cookie(1), cookie(2)+"; Path=/; HttpOnly")
			for n := 2; n <= 4; n++ {
				if sent := replay.Request.Header.Get("Cookie"); sent != "lang=en; "+cookie(n) {
					t.Errorf("replay %d has the cookies %q", n-1, sent)
				}
				replay.Answer(200, "[]", "Set-Cookie: "+cookie(n+1)+"; Path=/; HttpOnly")
				caddy.AwaitWaiting(t, "app/feed", 1)
				release(t, caddy, "app/feed", 1)
				replay = backend.Next(t)
			}
			if sent := replay.Request.Header.Get("Cookie"); sent != "lang=en; "+cookie(5) {
				t.Errorf("the last replay has the cookies %q", sent)
			}
			replay.Answer(200, "[1]")
			if g := <-parked; g.Body != "[1]" || !slices.Equal(g.Header["Set-Cookie"], []string{cookie(5) + "; Path=/; HttpOnly"}) {
				t.Errorf("the client was given %q with %+v", g.Header["Set-Cookie"], g)
			}
		})
	}
}
