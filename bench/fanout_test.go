package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// What one message costs that goes to many streams, without the network: from the
// hook to a write to each client. It is encoded once, so that no more is allocated
// for many than for few.
func BenchmarkFanOut(b *testing.B) {
	for _, streams := range []int{100, 10_000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) { fanOut(b, streams) })
	}
}

func fanOut(b *testing.B, streams int) {
	site, hook := serveMessages(b)

	ctx, leave := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var writes atomic.Int64
	defer all.Wait()
	defer leave()
	for range streams {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
		r.Header.Set("Accept", "text/event-stream")
		all.Go(func() { site.ServeHTTP(counting{discard{make(http.Header)}, &writes}, r) })
	}
	publish := func() {
		before := writes.Load()
		r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(`{"price":42.5,"volume":1000}`))
		r.RemoteAddr = "127.0.0.1:1"
		answer := httptest.NewRecorder()
		hook.ServeHTTP(answer, r)
		if want := fmt.Sprintf(`"released":%d`, streams); !strings.Contains(answer.Body.String(), want) {
			b.Fatalf("the hook answered %s, want %s", answer.Body, want)
		}
		await(b, func() bool { return writes.Load() == before+int64(streams) })
	}
	// Each has been sent its first comment, and where it stands.
	await(b, func() bool { return writes.Load() == 2*int64(streams) })
	publish()
	before := allocations()
	for b.Loop() {
		publish()
	}
	written := float64(b.N) * float64(streams)
	b.ReportMetric(float64(allocations()-before)/written, "allocs/stream")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/written, "ns/stream")
}

// counting counts what is written to all clients.
type counting struct {
	discard
	written *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.written.Add(1)
	return len(p), nil
}

func (counting) Flush()                           {}
func (counting) SetWriteDeadline(time.Time) error { return nil }
func (counting) SetReadDeadline(time.Time) error  { return nil }

// serveMessages runs Caddy with a site that holds requests for messages alone, and its
// hook, and returns the handlers of both.
func serveMessages(b *testing.B) (site, hook http.Handler) {
	b.Helper()
	addresses := caddytest.FreePorts(b, 2)
	_, port, _ := net.SplitHostPort(addresses[0])
	_, hookPort, _ := net.SplitHostPort(addresses[1])
	inprocess.Serve(b, fmt.Sprintf(`{
	admin off
	persist_config off
	log {
		output discard
	}
}
:%s {
	parker {
		hold messages
	}
}
:%s {
	parker_publish
}`, port, hookPort))
	return server(b, port), server(b, hookPort)
}

// server is Caddy's handler for the port.
func server(b *testing.B, port string) http.Handler {
	b.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range app.(*caddyhttp.App).Servers {
		if s.Listen[0] == ":"+port {
			return s
		}
	}
	b.Fatalf("there is no server on port %s", port)
	return nil
}

func await(b *testing.B, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(caddytest.Patience); !holds(); {
		if time.Now().After(deadline) {
			b.Fatal("the streams are not written to")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// allocations counts those of the process so far.
func allocations() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
