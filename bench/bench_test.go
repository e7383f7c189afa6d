// Package bench measures what parker costs, from outside: a Caddy of its own, and
// figures of the operating system.
package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) {
	if os.Getenv(isPeer) != "" {
		peerMain()
		return
	}
	caddytest.Main(m)
}

const hook = `
http://{$HOOK} {
	parker_publish
}`

// What parker adds to a request that it does not hold, in processor time of
// Caddy: two Caddys that differ in nothing else take turns.
func BenchmarkPassThrough(b *testing.B) {
	for name, answer := range map[string]string{"short": `{"messages":["hello"]}`, "long": strings.Repeat("x", 100_000)} {
		b.Run(name, func(b *testing.B) { passThrough(b, answer) })
	}
}

func passThrough(b *testing.B, answer string) {
	const batch, connections = 4000, 32
	backend := caddytest.Serve(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		io.WriteString(w, answer)
	})
	with := caddytest.Start(b, "http://{$SITE} {\n parker /messages\n reverse_proxy {$BACKEND}\n}"+hook, backend)
	without := caddytest.Start(b, "http://{$SITE} {\n reverse_proxy {$BACKEND}\n}"+hook, backend)
	turn := func(c *caddytest.Caddy) time.Duration {
		before := cpu(b, c.Pid())
		load(b, "http://"+c.Site+"/messages", batch, connections)
		return (cpu(b, c.Pid()) - before) / batch
	}
	turn(with)
	turn(without)
	var a, z []time.Duration
	var ratios []float64
	for b.Loop() {
		a, z = append(a, turn(with)), append(z, turn(without))
		ratios = append(ratios, float64(a[len(a)-1])/float64(z[len(z)-1]))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(micros(a), "µs-cpu/with")
	b.ReportMetric(micros(z), "µs-cpu/without")
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
}

func micros(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds()) / 1000
}

// load sends requests over as many connections and reads the answers. No two
// requests are the same: they are not to share an ask.
func load(b *testing.B, url string, requests, connections int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			for j := range requests / connections {
				answer, err := client.Get(fmt.Sprint(url, "?client=", i, "&since=", j))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		})
	}
	wg.Wait()
}

// cpu is the processor time that a process has used in all its threads.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	var total int64
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Skip("this benchmark needs Linux's /proc: ", err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if err != nil {
			continue // the thread has just ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		nanoseconds, _ := strconv.ParseInt(ran, 10, 64)
		total += nanoseconds
	}
	return time.Duration(total)
}
