package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// cuttingSite turns an answer with X-Cut into the one that reverse_proxy gives when the
// backend connection of a request is closed because another client disconnected.
var cuttingSite = withHook(`
	parker_notify
	parker
	reverse_proxy {$BACKEND} {
		@answer header X-Cut answer
		handle_response @answer {
			respond 499
		}
		@error header X-Cut error
		handle_response @error {
			error 499
		}
	}
`)

// A backend connection that is closed because another client disconnected must not end
// a poll.
func TestRetryRepeatsAskCutByAnotherClient(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards asks and news
	asks, news := make(map[string]int), make(map[string]bool)
	caddy := caddytest.Start(t, cuttingSite, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var how string
		var first, last int
		fmt.Sscanf(r.URL.Path, "/%6s/%d/%d", &how, &first, &last)
		if asks[r.URL.Path]++; asks[r.URL.Path] >= first && asks[r.URL.Path] <= last {
			w.Header().Set("X-Cut", strings.Trim(how, "-"))
		} else if news[r.URL.Path] {
			io.WriteString(w, "[1]")
		}
	}))
	for _, how := range []string{"answer", "error-"} {
		// The first and the last ask that is cut, and the asks until the news.
		for _, cut := range []struct{ first, last, asks int }{{1, 1, 2}, {1, 2, 3}, {2, 2, 3}, {2, 9, 10}} {
			path := fmt.Sprintf("/%s/%d/%d", how, cut.first, cut.last)
			replay := cut.first > 1
			mu.Lock()
			news[path] = !replay
			mu.Unlock()
			answered := caddytest.Get(t.Context(), "http://"+caddy.Site+path)
			if replay {
				caddy.AwaitWaiting(t, path[1:], 1)
				mu.Lock()
				news[path] = true
				mu.Unlock()
				release(t, caddy, path[1:], 1)
			}
			expect(t, "[1]", "", answered)
			mu.Lock()
			if asks[path] != cut.asks {
				t.Errorf("%s: the backend was asked %d times, want %d", path, asks[path], cut.asks)
			}
			mu.Unlock()
		}
	}
}

// An ask that is always cut is not retried without end.
func TestRetryGivesUpOnAskThatIsAlwaysCut(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"answer", "error"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			var asks atomic.Int64
			site := caddytest.Start(t, cuttingSite, caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asks.Add(1)
				w.Header().Set("X-Cut", how)
			}))
			if g := <-caddytest.Get(t.Context(), "http://"+site.Site+"/feed"); g.Status != 499 || asks.Load() != 4 {
				t.Errorf("after %d asks the poll was answered %+v", asks.Load(), g)
			}
		})
	}
}

// The backend may have handled a write whose connection was cut.
func TestNotifyPublishesWriteCutByAnotherClient(t *testing.T) {
	t.Parallel()
	var written atomic.Bool
	site := caddytest.Start(t, cuttingSite, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			written.Store(true)
			w.Header().Set("X-Cut", "answer")
		case written.Load():
			io.WriteString(w, "[1]")
		}
	}))
	answered := caddytest.Get(t.Context(), "http://"+site.Site+"/feed")
	site.AwaitWaiting(t, "feed", 1)
	if g := caddytest.Do(t.Context(), http.MethodPost, "http://"+site.Site+"/feed", "text"); g.Status != 499 {
		t.Errorf("the write was answered %+v", g)
	}
	expect(t, "[1]", "", answered)
}

// The same with the real cause: answers without a body, and clients that disconnect
// right after connecting.
func TestRetryKeepsPollsWhenOtherClientsDisconnect(t *testing.T) {
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(rand.N(2 * time.Millisecond))
		w.Header().Set("X-Nothing", "new")
		w.WriteHeader(http.StatusNoContent)
	})
	site := caddytest.Start(t, withHook(`
	parker
	reverse_proxy {$BACKEND}
`), backend)
	ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
	defer end()
	var clients sync.WaitGroup
	for i := range 40 {
		leaves := i%2 == 0
		clients.Go(func() {
			client := &http.Transport{}
			defer client.CloseIdleConnections()
			for j := 0; ctx.Err() == nil; j++ {
				asking, leave := context.WithCancel(ctx)
				if leaves {
					time.AfterFunc(rand.N(2500*time.Microsecond), leave)
				}
				g := caddytest.DoWith(asking, client, http.MethodGet, "http://"+site.Site+"/polls/"+strconv.Itoa(i)+"/"+strconv.Itoa(j), "", "Prefer: wait=0")
				leave()
				if !leaves && ctx.Err() == nil && g.Status != http.StatusNoContent {
					t.Errorf("a client that stayed connected was answered %+v", g)
				}
			}
		})
	}
	clients.Wait()
}
