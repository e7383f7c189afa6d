package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// late is a backend that answers a write at once and shows it later, as one with
// deferred updates, a cache or a replica does.
type late struct {
	lag     time.Duration
	asks    atomic.Int32
	mu      sync.Mutex
	written []time.Time
}

func (b *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodPost {
		b.written = append(b.written, time.Now())
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b.asks.Add(1)
	shown, since := 0, 0
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	for _, at := range b.written {
		if time.Since(at) >= b.lag {
			shown++
		}
	}
	if shown <= since {
		fmt.Fprint(w, "[]")
		return
	}
	fmt.Fprintf(w, `{"last":%d}`, shown)
}

func TestLookAgainFindsWriteThatShowsLate(t *testing.T) {
	t.Parallel()
	backend := &late{lag: 150 * time.Millisecond}
	caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=")
	site := "http://" + caddy.Site + "/messages"
	// Two clients that share nothing, and one stream.
	stream := caddytest.Listen(t, site)
	for i := range 15 {
		var polls []<-chan caddytest.Answer
		for client := range 2 {
			polls = append(polls, caddytest.Get(t.Context(), fmt.Sprintf("%s?since=%d", site, i), fmt.Sprint("X-Client: ", client)))
		}
		caddy.AwaitWaiting(t, "messages", 2)
		caddytest.Do(t.Context(), http.MethodPost, site, "")
		want := fmt.Sprintf(`{"last":%d}`, i+1)
		expect(t, want, "replay", polls...)
		hears(t, stream, want)
	}
}

func TestLookAgainServesPollRightAfterWrite(t *testing.T) {
	t.Parallel()
	backend := &late{lag: 700 * time.Millisecond}
	caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=")
	site := "http://" + caddy.Site + "/messages"
	caddytest.Do(t.Context(), http.MethodPost, site, "")
	expect(t, `{"last":1}`, "replay", caddytest.Get(t.Context(), site))
}

func TestLookAgainIsConfigurableAndCanBeOff(t *testing.T) {
	t.Parallel()
	for options, looks := range map[string]int32{"look_again 100ms": 1, "look_again 100ms 300ms": 2, "look_again off": 0} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			backend := &late{lag: 3 * time.Second}
			caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=timeout 2s\n"+options)
			site := "http://" + caddy.Site + "/messages"
			poll := caddytest.Get(t.Context(), site+"?since=100")
			caddy.AwaitWaiting(t, "messages", 1)
			caddytest.Do(t.Context(), http.MethodPost, site, "")
			if a := answerIn(t, poll); a.Release() != "timeout" {
				t.Errorf("answered %+v", a)
			}
			if asks := backend.asks.Load(); asks != 2+looks {
				t.Errorf("the backend was asked %d times, want a first, a replay and %d looks", asks, looks)
			}
		})
	}
}

// inboxes is a backend with an inbox for each user, all on one channel. A write is
// visible at once, or after lag.
type inboxes struct {
	lag  time.Duration
	asks atomic.Int32
	mu   sync.Mutex
	came map[string][]time.Time
}

func (b *inboxes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodPost {
		b.came[user] = append(b.came[user], time.Now())
		return
	}
	b.asks.Add(1)
	since := 0
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	if all := b.came[user]; len(all) > since && time.Since(all[len(all)-1]) >= b.lag {
		fmt.Fprintf(w, `{"last":%d}`, len(all))
		return
	}
	fmt.Fprint(w, "[]")
}

func TestLookAgainStaysRareWithAThousandUsers(t *testing.T) {
	const users, writes = 1000, 16
	backend := &inboxes{came: make(map[string][]time.Time)}
	caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=look_again 50ms 100ms 150ms\nmax_body 64KB 10s")
	site := "http://" + caddy.Site + "/messages"
	transport := crowdTransport()
	defer transport.CloseIdleConnections()
	poll := func(user, since int) <-chan caddytest.Answer {
		answers := make(chan caddytest.Answer, 1)
		go func() {
			answers <- caddytest.DoWith(t.Context(), transport, http.MethodGet, fmt.Sprintf("%s?user=%d&since=%d", site, user, since), "")
		}()
		return answers
	}
	polls := make([]<-chan caddytest.Answer, users)
	for i := range users {
		polls[i] = poll(i, 0)
	}
	caddy.AwaitWaiting(t, "messages", users)
	begin := backend.asks.Load()
	var first, last int32
	for i := range writes {
		before := backend.asks.Load()
		caddytest.Do(t.Context(), http.MethodPost, fmt.Sprintf("%s?user=%d", site, i), "")
		expect(t, `{"last":1}`, "", polls[i])
		polls[i] = poll(i, 1)
		// Looking again has ended for this write when no ask comes for a while.
		asked := func() (n int32) {
			n = backend.asks.Load()
			<-time.After(300 * time.Millisecond)
			return n
		}
		for n := asked(); n != backend.asks.Load(); n = asked() {
		}
		if i == 0 {
			first = backend.asks.Load() - before
		}
		last = backend.asks.Load() - before
	}
	all := float64(backend.asks.Load()-begin) / writes
	t.Logf("asks for each write to one of %d users on one channel: %d at first, %.0f on average of %d, %d at last", users, first, all, writes, last)
	// Each write causes a replay for each user, and a first ask of the user that polls
	// again. Looking again adds at most 64 asks at each of three times, and becomes
	// rare.
	if first > users+1+3*64 || all > users+1+3*64 || last > users+1+3*64 {
		t.Error("looking again multiplies the asks")
	}
	figures := caddy.Administer(t, http.MethodGet, "/metrics", "").Body
	if !strings.Contains(figures, `parker_asks_total{handler="",kind="look"}`) {
		t.Error("looks are not counted separately")
	}
}
