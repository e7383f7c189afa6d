package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// oneThread is a backend that serves one request at a time, as a servlet with one
// thread does, and takes a while for each. GET returns the messages after ?since=, and
// POST adds one.
type oneThread struct {
	work time.Duration
	asks [2]atomic.Int32 // by ?since=

	at, most atomic.Int32 // the requests at the backend now, and at most

	thread   sync.Mutex // guards messages
	messages []string
}

// ServeHTTP counts a request from its arrival to its answer.
func (b *oneThread) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := b.at.Add(1)
	for most := b.most.Load(); at > most && !b.most.CompareAndSwap(most, at); {
		most = b.most.Load()
	}
	defer b.at.Add(-1)
	b.thread.Lock()
	defer b.thread.Unlock()
	time.Sleep(b.work)
	if r.Method == http.MethodPost {
		text, _ := io.ReadAll(r.Body)
		b.messages = append(b.messages, string(text))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var since int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	b.asks[since].Add(1)
	text, _ := json.Marshal(append([]string{}, b.messages[min(since, len(b.messages)):]...))
	w.Write(text)
}

// crowd is a thousand clients, each with its own connection.
const crowd = 1000

func crowdTransport() *http.Transport {
	return &http.Transport{MaxIdleConns: crowd, MaxIdleConnsPerHost: crowd}
}

// crowdSite also answers plain requests.
var crowdSite = withHook(`
	parker_notify /messages
	parker /messages {
		{$OPTIONS}
	}
	reverse_proxy {$BACKEND}
`)

func TestShareServesAThousandClientsWithFewAsks(t *testing.T) {
	backend := &oneThread{work: 5 * time.Millisecond}
	caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), "OPTIONS=")
	transport := crowdTransport()
	defer transport.CloseIdleConnections()
	site := "http://" + caddy.Site
	var clients sync.WaitGroup
	for i := range crowd {
		clients.Go(func() {
			g := caddytest.DoWith(t.Context(), transport, http.MethodGet, site+"/messages?since=0", "")
			if g.Body != `["hello"]` || g.Release() != "replay" {
				t.Errorf("client %d was answered %+v", i, g)
			}
			// The client polls again at once, as an unmodified poll loop does.
			g = caddytest.DoWith(t.Context(), transport, http.MethodGet, site+"/messages?since=1", "")
			if g.Body != "bye" || g.Release() != "message" {
				t.Errorf("client %d was answered %+v next", i, g)
			}
		})
	}
	caddy.AwaitWaiting(t, "messages", crowd)
	first := backend.asks[0].Load()
	if first > crowd {
		t.Errorf("%d clients asked %d times first", crowd, first)
	}

	// The backend is free while the polls are parked.
	if at := backend.at.Load(); at != 0 {
		t.Errorf("%d requests are at the backend", at)
	}
	begin := time.Now()
	if g := caddytest.Do(t.Context(), http.MethodGet, site+"/plain", ""); g.Body != "[]" || g.Header.Get("Parker-Status") != "" {
		t.Errorf("the plain request was answered %+v", g)
	}
	if took := time.Since(begin); took > atOnce {
		t.Errorf("the plain request took %s", took)
	}
	first = backend.asks[0].Load()

	if post := caddytest.Do(t.Context(), http.MethodPost, site+"/messages", "hello"); post.Status != http.StatusNoContent {
		t.Fatalf("the write was answered %+v", post)
	}
	caddy.AwaitWaiting(t, "messages", crowd)
	replays, following := backend.asks[0].Load()-first, backend.asks[1].Load()
	t.Logf("%d first asks, %d replays, %d asks by the polls that followed at once", first, replays, following)
	if replays > 5 {
		t.Errorf("a release of %d was replayed %d times", crowd, replays)
	}
	if following > crowd/10 {
		t.Errorf("the %d polls that followed asked %d times", crowd, following)
	}
	if most := backend.most.Load(); most > 2 {
		t.Errorf("%d requests of one share were at the backend at once", most)
	}
	if published := caddy.Publish(t, "messages", "", "bye"); !strings.Contains(published, fmt.Sprintf(`"released":%d`, crowd)) {
		t.Errorf("the hook answered %s", published)
	}
	clients.Wait()
}

func TestAsksLimitsReplaysOfAThousandUsers(t *testing.T) {
	const asks = 16
	backend := &oneThread{work: time.Millisecond}
	caddy := caddytest.Start(t, crowdSite, caddytest.Serve(t, backend.ServeHTTP), fmt.Sprintf("OPTIONS=asks %d", asks))
	transport := crowdTransport()
	defer transport.CloseIdleConnections()
	var clients sync.WaitGroup
	var slow atomic.Int32 // answers that were not held because the machine was too busy
	for i := range crowd {
		clients.Go(func() {
			ask := func() caddytest.Answer {
				return caddytest.DoWith(t.Context(), transport, http.MethodGet, "http://"+caddy.Site+"/messages?since=0", "", fmt.Sprintf("Cookie: user=%d", i))
			}
			g := ask()
			for g.Body == "[]" && g.Release() == "none" {
				slow.Add(1)
				g = ask()
			}
			if g.Body != `["hello"]` || g.Release() != "replay" {
				t.Errorf("client %d was answered %+v", i, g)
			}
		})
	}
	caddy.AwaitWaiting(t, "messages", crowd)
	first, most := backend.asks[0].Load(), backend.most.Load()
	if first != crowd+slow.Load() || most > asks {
		t.Errorf("there were %d first asks, and %d at once", first, most)
	}
	backend.most.Store(0)
	begin := time.Now()
	if post := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/messages", "hello"); post.Status != http.StatusNoContent {
		t.Fatalf("the write was answered %+v", post)
	}
	clients.Wait()
	replays, most := backend.asks[0].Load()-first, backend.most.Load()
	t.Logf("%d replays, %d at once at most, in %s", replays, most, time.Since(begin))
	// The write itself may have been at the backend at the same time.
	if replays != crowd || most < asks || most > asks+1 {
		t.Errorf("there were %d replays, and %d at once", replays, most)
	}
}

// pollAs polls as a user, and shares with no other user.
func pollAs(ctx context.Context, caddy *caddytest.Caddy, user int, header ...string) <-chan caddytest.Answer {
	return caddytest.Get(ctx, "http://"+caddy.Site+"/feed", append(header, fmt.Sprintf("Cookie: user=%d", user))...)
}

func TestAsksLimitHoldsUntilAnswersHeader(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("asks 2"))
	const polls = 6
	var parked []<-chan caddytest.Answer
	for i := range polls {
		parked = append(parked, pollAs(t.Context(), caddy, i))
	}
	takeTurns := func(body string) {
		at := []*caddytest.Ask{backend.Next(t), backend.Next(t)}
		for waiting := polls - 2; waiting > 0; waiting-- {
			awaitQueued(t, caddy, waiting)
			backend.Unasked(t)
			at[0].Answer(200, body)
			at = append(at[1:], backend.Next(t))
		}
		at[0].Answer(200, body)
		at[1].Answer(200, body)
	}
	takeTurns("[]")
	caddy.AwaitWaiting(t, "feed", polls)
	release(t, caddy, "feed", polls)
	takeTurns("[1]")
	expect(t, "[1]", "replay", parked...)

	// After its header, an answer delays no other ask, however long it streams.
	var streams []*caddytest.Ask
	var streaming []<-chan caddytest.Answer
	for i := range polls {
		streaming = append(streaming, pollAs(t.Context(), caddy, i))
		streams = append(streams, backend.Next(t))
		streams[i].Begin(200)
		streams[i].Write("[1,")
	}
	for _, stream := range streams {
		stream.Write("2]")
		stream.End()
	}
	expect(t, "[1,2]", "", streaming...)
}

func TestAsksQueueFreesPlaceOfDisconnectedPoll(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("asks 1"))
	first := pollAs(t.Context(), caddy, 1)
	ask := backend.Next(t)
	ctx, leave := context.WithCancel(t.Context())
	left := pollAs(ctx, caddy, 2)
	awaitQueued(t, caddy, 1)
	stays := pollAs(t.Context(), caddy, 3)
	awaitQueued(t, caddy, 2)
	leave()
	<-left
	awaitQueued(t, caddy, 1)
	ask.Answer(200, "[1]")
	<-first
	ask = backend.Next(t)
	if cookie := ask.Request.Header.Get("Cookie"); cookie != "user=3" {
		t.Errorf("the next at the backend is %s", cookie)
	}
	ask.Answer(200, "[1]")
	expect(t, "[1]", "", stays)
	backend.Unasked(t)
}

func TestAsksQueueTimesOutWithNothingNewAnswer(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, strings.Replace(parking("asks 1"), "parker {", "parker {path.0} {query.also} {", 1))
	url := "http://" + caddy.Site + "/feed?also="
	busy := caddytest.Get(t.Context(), url+"busy")
	backend.Next(t).Answer(200, "[]")
	caddy.AwaitWaiting(t, "busy", 1)
	queues := caddytest.Get(t.Context(), url+"queues", "Prefer: wait=3") // before the place at the backend is freed
	backend.Next(t).Answer(200, "[]", "X-Legacy: yes")
	caddy.AwaitWaiting(t, "queues", 1)

	release(t, caddy, "busy", 1)
	replay := backend.Next(t)
	release(t, caddy, "queues", 1)
	if g := <-queues; g.Status != 200 || g.Body != "[]" || g.Header.Get("X-Legacy") != "yes" || g.Release() != "timeout" {
		t.Errorf("the poll whose replay queued was answered %+v", g)
	}
	backend.Unasked(t)
	replay.Answer(200, "[1]")
	expect(t, "[1]", "replay", busy)
}

func TestSpreadReleasesPollsOverTime(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, parking("spread 2s"), backend.Address)
	const polls = 100
	type arrival struct {
		caddytest.Answer
		at time.Time
	}
	arrivals := make(chan arrival, polls)
	for range polls {
		go func() {
			g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/feed", "")
			arrivals <- arrival{g, time.Now()}
		}()
	}
	caddy.AwaitWaiting(t, "feed", polls)
	asked := backend.Asks.Load()
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/feed", "hello")
	var first, last time.Time
	for i := range polls {
		a := <-arrivals
		if a.Body != `["hello"]` || a.Release() != "replay" {
			t.Errorf("a poll was answered %+v", a.Answer)
		}
		if last = a.at; i == 0 {
			first = a.at
		}
	}
	if took := last.Sub(first); took < 500*time.Millisecond {
		t.Errorf("%d polls were released over %s", polls, took)
	}
	if replays := backend.Asks.Load() - asked; replays > 3 {
		t.Errorf("%d polls were replayed %d times", polls, replays)
	}
}

// The backend changes without a publish.
func TestWatchAsksOnceForAllSharingPolls(t *testing.T) {
	t.Parallel()
	const interval = 50 * time.Millisecond
	const polls = 50
	for name, test := range map[string]struct {
		news string
		asks int32 // asks for the news, at most
	}{
		"with news that is shared":         {news: "[1]", asks: 5},
		"with news that is too long to be": {news: strings.Repeat("long ", 20_000), asks: polls + 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asks atomic.Int32
			var changed atomic.Bool
			caddy := caddytest.Start(t, parking("watch 50ms"), caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asks.Add(1)
				if changed.Load() {
					io.WriteString(w, test.news)
					return
				}
				io.WriteString(w, "[]")
			}))
			var parked []<-chan caddytest.Answer
			for range polls {
				parked = append(parked, caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed"))
			}
			// When all polls wait at once, all have had the answer to their first ask.
			caddy.AwaitWaiting(t, "feed", polls)
			begin, asked := time.Now(), asks.Load()
			caddytest.Await(t, "the backend is asked 8 times more", func() bool { return asks.Load() >= asked+8 })
			if n, most := asks.Load()-asked, int32(time.Since(begin)/interval)+2; n > most {
				t.Errorf("the backend was asked %d times in %s", n, time.Since(begin))
			}
			asked = asks.Load()
			changed.Store(true)
			expect(t, test.news, "watch", parked...)
			if n := asks.Load() - asked; n > test.asks {
				t.Errorf("the backend was asked %d times for the news", n)
			}
		})
	}
}
