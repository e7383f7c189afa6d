// Package storm tests parker with many clients that poll, write, disconnect and return,
// and checks that none misses an event.
package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

const (
	clients = 200
	writers = 4

	// prompt is the time within which a client must hear of a message: many times what
	// it takes on a busy machine, and less than polls are held.
	prompt = 5 * time.Second
)

// config names each step of a poll that can be delayed: see delay_test.go.
const config = `{
	admin off
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	parker {
		broker delayed
	}
}
http://%s {
	route {
		delay arrive
		parker_notify /messages
		delay publish after
		parker /messages {
			timeout 10s
		}
		delay ask
		delay park after
		reverse_proxy %s {
			transport http {
				keepalive_idle_conns_per_host 300
			}
		}
	}
}`

func TestStormOfPollsLosesNothing(t *testing.T) {
	duration := 20 * time.Second
	if testing.Short() {
		duration = 3 * time.Second
	}
	storm(t, "", duration)
}

func TestStormWithAnySlowStepLosesNothing(t *testing.T) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) { storm(t, step, 2*time.Second) })
	}
}

func storm(t *testing.T, slow string, duration time.Duration) {
	slowStep.Store(&slow)
	backend := new(chat)
	server := httptest.NewServer(backend)
	defer server.Close()
	site := serve(t, strings.TrimPrefix(server.URL, "http://"))

	var wg sync.WaitGroup
	writing, stop := context.WithTimeout(t.Context(), duration)
	defer stop()
	for range writers {
		wg.Go(func() { write(t, writing, site) })
	}
	over, end := context.WithCancel(t.Context())
	defer end()
	var following sync.WaitGroup
	for i := range clients {
		following.Go(func() { follow(t, over, site, backend, i) })
	}
	wg.Wait()
	end()
	following.Wait()
	t.Logf("%d messages, %d asks", backend.count(), backend.asks.Load())
}

// serve runs Caddy in this process until the test ends.
func serve(t *testing.T, backend string) (url string) {
	t.Helper()
	address := caddytest.FreePorts(t, 1)[0]
	inprocess.Serve(t, fmt.Sprintf(config, address, backend))
	return "http://" + address + "/messages"
}

// write posts at random times until the context ends.
func write(t *testing.T, ctx context.Context, url string) {
	for ctx.Err() == nil {
		answer := caddytest.Do(context.Background(), http.MethodPost, url, "text")
		if answer.Status != http.StatusSeeOther {
			t.Errorf("a write was answered %+v", answer)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(100 * time.Millisecond)):
		}
	}
}

// follow polls as an old page does, disconnects at random and comes back, until all
// writers have ended and it has seen everything.
func follow(t *testing.T, over context.Context, url string, backend *chat, seed int) {
	transport := new(http.Transport) // its own transport, so that connections end with it
	defer transport.CloseIdleConnections()
	random := rand.New(rand.NewPCG(1, uint64(seed)))
	for seen := 0; over.Err() == nil || seen < backend.count(); {
		ctx, leave := context.WithCancel(t.Context())
		at := seen
		stay := context.AfterFunc(over, func() {
			if at == backend.count() {
				leave() // no more messages will come
			}
		})
		if random.IntN(4) == 0 {
			time.AfterFunc(time.Duration(random.Int64N(int64(time.Second))), leave)
		}
		wait := 7 + random.IntN(3)
		answer := caddytest.DoWith(ctx, transport, http.MethodGet, fmt.Sprint(url, "?since=", seen), "", fmt.Sprint("Prefer: wait=", wait))
		now := time.Now()
		left := ctx.Err() != nil
		stay()
		leave()
		if left {
			continue
		}
		var news []int
		if answer.Err != nil || answer.Status != http.StatusOK || json.Unmarshal([]byte(answer.Body), &news) != nil {
			t.Errorf("client %d, after message %d, was answered %+v", seed, seen, answer)
			return
		}
		if missed, ok := backend.missed(seen, now.Add(-prompt)); ok && len(news) == 0 && parked(answer) > prompt*9/10 {
			t.Errorf("client %d, after message %d, stayed parked for %v after message %d was written: %v", seed, seen, now.Sub(missed), seen+1, answer.Header)
			return
		}
		for _, id := range news {
			if id != seen+1 {
				t.Errorf("client %d got message %d after %d", seed, id, seen)
				return
			}
			seen = id
		}
	}
}

// parked returns the park time in the answer. On a busy machine the poll may have spent
// the rest of its time elsewhere.
func parked(answer caddytest.Answer) time.Duration {
	for part := range strings.SplitSeq(answer.Header.Get("Parker-Status"), "; ") {
		if seconds, ok := strings.CutPrefix(part, "park="); ok {
			d, _ := time.ParseDuration(seconds + "s")
			return d
		}
	}
	return 0
}

// chat is the backend. Its messages are numbered from 1.
type chat struct {
	asks atomic.Int64

	mu      sync.Mutex // guards written
	written []time.Time
}

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		io.Copy(io.Discard, r.Body)
		c.mu.Lock()
		c.written = append(c.written, time.Now())
		c.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	c.asks.Add(1)
	var since int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	news := []int{}
	for id := since + 1; id <= c.count(); id++ {
		news = append(news, id)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(news)
}

func (c *chat) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.written)
}

// missed returns when the message after since was written; ok is false if that was not
// before the given time.
func (c *chat) missed(since int, before time.Time) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since >= len(c.written) || c.written[since].After(before) {
		return time.Time{}, false
	}
	return c.written[since], true
}
