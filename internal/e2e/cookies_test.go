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
	caddy := caddytest.Start(t, withHook(`
	parker /feed {
		look_again off
	}
	parker /watched {
		watch 20ms
		look_again off
	}
	reverse_proxy {$BACKEND}
`), caddytest.Serve(t, backend.ServeHTTP))
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
	caddy, backend := startScripted(t, parking(""))
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
		"deleted by its age": {
			has: "session=1; theme=dark", set: []string{"session=; Max-Age=0; Path=/"}, sent: "theme=dark", given: []string{"session=; Max-Age=0; Path=/"},
		},
		"by path": {
			has: "a=1", set: []string{"a=2; Path=/other", "b=2; Path=/app/"}, sent: "a=1; b=2", given: []string{"a=2; Path=/other", "b=2; Path=/app/"},
		},
		"set anew by the final answer": {
			has: "session=1", set: []string{"session=2; Path=/", "csrf=a"}, own: []string{"session=3; Path=/; HttpOnly", "other=1"}, sent: "session=2; csrf=a",
			given: []string{"csrf=a", "session=3; Path=/; HttpOnly", "other=1"},
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
	caddy, backend := startScripted(t, parking("max_body 1KB"))
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
	caddy, backend := startScripted(t, withHook(`
	handle_path /app/* {
		parker app/feed
		reverse_proxy {$BACKEND}
	}
`))
	parked, replay := held(t, caddy, backend, "session=1", "session=2; Path=/app")
	if sent := replay.Request.Header.Get("Cookie"); sent != "session=2" {
		t.Errorf("the replay has the cookies %q", sent)
	}
	replay.Answer(200, "[1]")
	if g := <-parked; !slices.Equal(g.Header["Set-Cookie"], []string{"session=2; Path=/app"}) {
		t.Errorf("the client was given %q", g.Header["Set-Cookie"])
	}
}
