package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// user is all by which a backend tells people apart.
type user struct{ cookie, authorization, language string }

func (u user) String() string {
	return fmt.Sprintf("%s, %s, in %s", u.cookie, u.authorization, u.language)
}

// personal is a backend that says in each answer whom it is for. It has two feeds
// of which only the number of entries is known.
type personal struct {
	entries [2]atomic.Int64
	asks    atomic.Int64
}

// ServeHTTP takes its time, sets cookies, streams and answers at length at random.
func (b *personal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var feed, since int64
	fmt.Sscanf(r.URL.Path, "/feed/%d", &feed)
	fmt.Sscanf(r.URL.RawQuery, "since=%d", &since)
	if r.Method == http.MethodPost {
		b.entries[feed].Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	u := user{authorization: r.Header.Get("Authorization"), language: r.Header.Get("Accept-Language")}
	if cookie, err := r.Cookie("user"); err == nil {
		u.cookie = cookie.Value
	}
	entries := b.entries[feed].Load()
	time.Sleep(rand.N(3 * time.Millisecond))
	header := w.Header()
	header.Set("Vary", "Accept-Language")
	header.Set("X-For", u.String())
	header.Set("X-Ask", fmt.Sprint(b.asks.Add(1)))
	if rand.N(10) == 0 {
		header.Set("Set-Cookie", "for="+strings.NewReplacer(",", "", " ", "-").Replace(u.String()))
	}
	switch {
	case entries > since:
		fmt.Fprintf(w, `{"for":%q,"messages":[%d],`, u, entries)
		if rand.N(4) == 0 {
			w.(http.Flusher).Flush()
		}
		padding := 10
		if rand.N(10) == 0 {
			padding = 100_000
		}
		fmt.Fprintf(w, `"padding":%q}`, strings.Repeat(" ", padding))
	case rand.N(2) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprintf(w, `{"for":%q,"messages":[]}`, u)
	}
}

// check looks for anything in the answer that is for somebody else.
func (u user) check(t *testing.T, g caddytest.Answer) {
	if g.Err != nil || g.Status != 200 && g.Status != 204 {
		t.Errorf("%s was answered %d, %v", u, g.Status, g.Err)
		return
	}
	if whom := g.Header.Get("X-For"); whom != u.String() {
		t.Errorf("%s was given the header for %s, release=%s", u, whom, g.Release())
	}
	if g.Status == 200 && !strings.HasPrefix(g.Body, fmt.Sprintf(`{"for":%q,`, u)) {
		t.Errorf("%s was given the body %.100s, release=%s", u, g.Body, g.Release())
	}
	if g.Status == 200 && !strings.HasSuffix(g.Body, "}") {
		t.Errorf("%s was given a part only: %d bytes, release=%s", u, len(g.Body), g.Release())
	}
	for _, line := range g.Header["Set-Cookie"] {
		if line != "for="+strings.NewReplacer(",", "", " ", "-").Replace(u.String()) {
			t.Errorf("%s was given the cookie %s, release=%s", u, line, g.Release())
		}
	}
}

// poll asks as long as it goes on, sometimes impatiently, and leaves now and then.
// It calls answered with the number of the ask by which it was answered.
func (u user) poll(t *testing.T, site string, goesOn func() bool, answered func(ask string)) {
	var since [2]int64
	for goesOn() {
		feed := rand.N(2)
		ctx, leave := context.WithCancel(t.Context())
		leaves := rand.N(5) == 0
		if leaves {
			time.AfterFunc(rand.N(30*time.Millisecond), leave)
		}
		header := []string{"Cookie: user=" + u.cookie, "Authorization: " + u.authorization, "Accept-Language: " + u.language, "Prefer: wait=5"}
		if rand.N(4) == 0 {
			header[3] = "Prefer: wait=0"
		}
		g := caddytest.Do(ctx, http.MethodGet, fmt.Sprintf("http://%s/feed/%d?since=%d", site, feed, since[feed]), "", header...)
		leave()
		if leaves && g.Err != nil {
			continue
		}
		u.check(t, g)
		answered(g.Header.Get("X-Ask"))
		if _, messages, ok := strings.Cut(g.Body, `"messages":[`); ok && rand.N(10) > 0 {
			fmt.Sscan(messages, &since[feed])
		}
	}
}

func TestNobodyIsEverGivenAnothersAnswer(t *testing.T) {
	for name, options := range map[string]string{
		"plainly":                  "",
		"with reuse and watch":     "reuse 30ms\nwatch 50ms",
		"with a queue and a delay": "asks 2\nspread 20ms",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := new(personal)
			caddy := caddytest.Start(t, parking("nothing_new {\nstatus 204\njson /messages\n}\n"+options), caddytest.Serve(t, backend.ServeHTTP))
			enough, last := time.Now().Add(1500*time.Millisecond), time.Now().Add(caddytest.Patience)
			var mu sync.Mutex // guards answered
			answered := make(map[string]int)
			shared := func() (n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, polls := range answered {
					if polls > 1 {
						n++
					}
				}
				return n
			}
			goesOn := func() bool {
				return time.Now().Before(enough) || shared() == 0 && time.Now().Before(last)
			}
			var polling sync.WaitGroup
			for i := range 36 {
				u := user{
					cookie:        []string{"ann", "bob", "eve"}[i%3],
					authorization: []string{"Basic a", "Basic b"}[i/3%2],
					language:      []string{"de", "en"}[i/6%2],
				}
				polling.Go(func() {
					u.poll(t, caddy.Site, goesOn, func(ask string) {
						mu.Lock()
						defer mu.Unlock()
						answered[ask]++
					})
				})
			}
			for goesOn() {
				feed := fmt.Sprintf("feed/%d", rand.N(2))
				if rand.N(3) == 0 {
					caddy.Publish(t, feed, "", "") // for nothing
				} else {
					caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/"+feed, "")
				}
				time.Sleep(rand.N(30 * time.Millisecond))
			}
			polling.Wait()
			if shared() == 0 {
				t.Errorf("none of the %d asks was shared", backend.asks.Load())
			}
			t.Logf("%d asks were given, %d of them to several", len(answered), shared())
		})
	}
}
