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

// What a poll that waits for a message and is answered with it allocates, without the
// network: in parker, and in the bare server. What it costs with the network is measured
// by the command.
func BenchmarkRounds(b *testing.B) {
	b.Run("parker", func(b *testing.B) {
		site, hook := serveMessages(b)
		rounds(b, site, hook)
	})
	b.Run("bare", func(b *testing.B) {
		s := newBareServer()
		rounds(b, http.HandlerFunc(s.poll), http.HandlerFunc(s.takePublish))
	})
}

const roundClients = 1000

// rounds has clients poll, and answers them all once all wait.
func rounds(b *testing.B, site, hook http.Handler) {
	atHook := func(method, body string) string {
		r := httptest.NewRequest(method, "/messages", strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1"
		answer := httptest.NewRecorder()
		hook.ServeHTTP(answer, r)
		return answer.Body.String()
	}
	allWait := fmt.Sprintf(`"waiting":%d`, roundClients)
	var written atomic.Int64
	round := func() {
		var all sync.WaitGroup
		for range roundClients {
			all.Go(func() {
				site.ServeHTTP(counting{discard{make(http.Header)}, &written}, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/messages", nil))
			})
		}
		await(b, func() bool { return strings.Contains(atHook(http.MethodGet, ""), allWait) })
		atHook(http.MethodPost, message)
		all.Wait()
	}
	round()
	before := allocations()
	for b.Loop() {
		round()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(allocations()-before)/float64(b.N)/roundClients, "allocs/poll")
}
