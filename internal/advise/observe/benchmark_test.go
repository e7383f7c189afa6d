package observe_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// BenchmarkObserve sends each request to the same route with and without parker_observe, in
// turns, over the loopback network, and reports the medians and their ratio. The client and the backend use the same processors, as they do
// without parker_observe.
func BenchmarkObserve(b *testing.B) {
	files := b.TempDir()
	if err := os.WriteFile(filepath.Join(files, "large.txt"), make([]byte, 1<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, `{"messages":[1,2,3],"unread":3}`)
	}))
	defer backend.Close()
	route := fmt.Sprintf("handle /files/* {\n uri strip_prefix /files\n root %s\n file_server\n }\n reverse_proxy %s\n", files, backend.URL)
	ports := caddytest.FreePorts(b, 2)
	inprocess.Serve(b, fmt.Sprintf("{\n admin off\n persist_config off\n log {\n output discard\n }\n}\nhttp://%s {\n parker_observe\n %s}\nhttp://%s {\n%s}\n", ports[0], route, ports[1], route))
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, c := range []struct{ name, method, path, body, field string }{
		{"JSON", http.MethodGet, "/messages?since=7", "", "X-Requested-With: XMLHttpRequest"},
		{"POST", http.MethodPost, "/reply", "text=" + strings.Repeat("hello+", 50), form},
		{"file", http.MethodGet, "/files/large.txt", "", "Accept: text/plain"},
	} {
		b.Run(c.name, func(b *testing.B) {
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			name, value, _ := strings.Cut(c.field, ": ")
			once := func(address string) time.Duration {
				r, err := http.NewRequest(c.method, "http://"+address+c.path, strings.NewReader(c.body))
				if err != nil {
					b.Fatal(err)
				}
				for _, name := range []string{"User-Agent", "Accept", "Accept-Language", "Referer"} {
					r.Header.Set(name, "the value of a field of some length")
				}
				r.Header.Set("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark")
				r.Header.Set(name, value)
				begun := time.Now()
				answer, err := transport.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				return time.Since(begun)
			}
			var with, without []time.Duration
			for b.Loop() {
				with = append(with, once(ports[0]))
				without = append(without, once(ports[1]))
			}
			slices.Sort(with)
			slices.Sort(without)
			half := len(with) / 2
			b.ReportMetric(float64(with[half].Nanoseconds())/1000, "µs/with")
			b.ReportMetric(float64(without[half].Nanoseconds())/1000, "µs/without")
			b.ReportMetric(float64(with[half])/float64(without[half]), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
