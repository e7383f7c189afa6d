package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// What a poll costs that waits for a message and is answered with it, without the
// network: in parker, and in a handler for net/http that waits on a channel.
func BenchmarkRounds(b *testing.B) {
	b.Run("parker", func(b *testing.B) {
		site, hook := serveMessages(b)
		waiting := func() bool {
			r := httptest.NewRequest(http.MethodGet, "/messages", nil)
			r.RemoteAddr = "127.0.0.1:1"
			answer := httptest.NewRecorder()
			hook.ServeHTTP(answer, r)
			return strings.Contains(answer.Body.String(), fmt.Sprintf(`"waiting":%d,`, roundClients))
		}
		rounds(b, site, waiting, func() {
			r := httptest.NewRequest(http.MethodPost, "/messages", strings.NewReader(`{"text":"hello"}`))
			r.RemoteAddr = "127.0.0.1:1"
			hook.ServeHTTP(httptest.NewRecorder(), r)
		})
	})
	b.Run("bare", func(b *testing.B) {
		h := &bareMessages{news: make(chan struct{})}
		rounds(b, h, func() bool { return h.count() == roundClients }, h.publish)
	})
}

const roundClients = 1000

// rounds has clients poll, and answers them all once all wait.
func rounds(b *testing.B, site http.Handler, waiting func() bool, publish func()) {
	var written atomic.Int64
	round := func() {
		var all sync.WaitGroup
		for range roundClients {
			all.Go(func() {
				site.ServeHTTP(counting{discard{make(http.Header)}, &written}, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/messages", nil))
			})
		}
		await(b, waiting)
		publish()
		all.Wait()
	}
	round()
	before := allocations()
	for b.Loop() {
		round()
	}
	polls := float64(b.N) * roundClients
	b.ReportMetric(float64(allocations()-before)/polls, "allocs/poll")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/polls, "ns/poll")
}

// bareMessages holds requests and answers them with a message as simply as it can be
// done.
type bareMessages struct {
	mu    sync.Mutex
	waits int
	news  chan struct{}
}

func (h *bareMessages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.waits++
	news := h.news
	h.mu.Unlock()
	select {
	case <-news:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"text":"hello"}`)
	case <-r.Context().Done():
	}
}

func (h *bareMessages) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waits
}

func (h *bareMessages) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.news)
	h.news, h.waits = make(chan struct{}), 0
}
