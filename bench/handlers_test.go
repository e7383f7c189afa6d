package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// What parker adds to Caddy's own handlers for a request with news, without the
// network and without a backend's own time.
func BenchmarkHandlers(b *testing.B) {
	for name, directive := range map[string]string{"with": "parker", "without": ""} {
		b.Run(name, func(b *testing.B) {
			_, port, _ := net.SplitHostPort(caddytest.FreePorts(b, 1)[0])
			inprocess.Serve(b, fmt.Sprintf("{\n admin off\n persist_config off\n log {\n output discard\n }\n}\n:%s {\n %s\n header X-News yes\n respond `{\"messages\":[1]}`\n}", port, directive))
			app, err := caddy.ActiveContext().App("http")
			if err != nil {
				b.Fatal(err)
			}
			var server http.Handler
			for _, s := range app.(*caddyhttp.App).Servers {
				server = s
			}
			r := httptest.NewRequest(http.MethodGet, "/messages?since=7", nil)
			for _, name := range []string{"User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Cookie", "Referer"} {
				r.Header.Set(name, "the value of a field of some length")
			}
			b.ReportAllocs()
			for b.Loop() {
				server.ServeHTTP(discard{header: make(http.Header)}, r.Clone(b.Context()))
			}
		})
	}
}

// discard is a client that wants nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (d discard) WriteHeader(int)             {}
