package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

const brokerSite = `{
	{$GLOBAL}
	parker {
		broker %s
	}
}
http://{$SITE} {
	parker /events {
		hold messages
	}
}
http://{$HOOK} {
	parker_publish
}`

// carried is nodes that share a broker: at one events are published, at the other
// requests are parked. With the memory broker both are one.
type carried struct {
	broker     string
	here, away *caddytest.Caddy
}

// startCarried starts nodes of each broker. The first is memory's.
func startCarried(b *testing.B) []*carried {
	b.Helper()
	start := func(option string) *caddytest.Caddy {
		return caddytest.Start(b, fmt.Sprintf(brokerSite, option), "127.0.0.1:1")
	}
	memory := start("memory")
	all := []*carried{{"memory", memory, memory}}
	for broker, server := range map[string]string{"redis": caddytest.StartRedis(b).URL, "nats": caddytest.StartNATS(b).URL} {
		option := fmt.Sprintf("%s {\n url %s\n}", broker, server)
		all = append(all, &carried{broker, start(option), start(option)})
	}
	return all
}

// How long it takes from a publish at one node until a request that is parked at
// another is answered: with each broker in turn, and how many times that with the
// memory broker.
func BenchmarkBrokerRelease(b *testing.B) {
	all := startCarried(b)
	took := make([][]time.Duration, len(all))
	for b.Loop() {
		for i, c := range all {
			took[i] = append(took[i], c.release(b))
		}
	}
	b.ReportMetric(0, "ns/op")
	var p50, p99 float64 // the memory broker's
	for i, c := range all {
		slices.Sort(took[i])
		middle := micros(took[i])
		last := float64(took[i][len(took[i])*99/100].Nanoseconds()) / 1000
		b.ReportMetric(middle, "µs-p50/"+c.broker)
		b.ReportMetric(last, "µs-p99/"+c.broker)
		if i == 0 {
			p50, p99 = middle, last
			continue
		}
		b.ReportMetric(middle/p50, "ratio-p50/"+c.broker)
		b.ReportMetric(last/p99, "ratio-p99/"+c.broker)
	}
}

// release parks a request and has it released.
func (c *carried) release(b *testing.B) time.Duration {
	b.Helper()
	answered := make(chan time.Time, 1)
	go func() {
		answer := caddytest.Do(b.Context(), http.MethodGet, "http://"+c.away.Site+"/events", "")
		if answer.Body != "message" {
			b.Errorf("%s: answered %+v", c.broker, answer)
		}
		answered <- time.Now()
	}()
	c.away.AwaitWaiting(b, "events", 1)
	begin := time.Now()
	c.here.Publish(b, "events", "text/plain", "message")
	return (<-answered).Sub(begin)
}

// How many events a second a core of a node is good for: one where they are published,
// and one that only receives them. Nobody waits for them.
func BenchmarkBrokerEvents(b *testing.B) {
	const batch, connections = 4000, 64
	all := startCarried(b)
	here, away := make([]time.Duration, len(all)), make([]time.Duration, len(all))
	turn := func(i int) {
		c := all[i]
		before, elsewhere := cpu(b, c.here.Pid()), cpu(b, c.away.Pid())
		publishMany(b, c.here, batch, connections)
		here[i] += cpu(b, c.here.Pid()) - before
		away[i] += cpu(b, c.away.Pid()) - elsewhere
	}
	for i := range all {
		turn(i)
	}
	clear(here)
	clear(away)
	for b.Loop() {
		for i := range all {
			turn(i)
		}
	}
	b.ReportMetric(0, "ns/op")
	perCore := func(used time.Duration) float64 { return float64(batch*b.N) / used.Seconds() }
	for i, c := range all {
		b.ReportMetric(perCore(here[i]), "published/core-s/"+c.broker)
		if i == 0 {
			continue
		}
		b.ReportMetric(perCore(away[i]), "received/core-s/"+c.broker)
		b.ReportMetric(perCore(here[i])/perCore(here[0]), "ratio/"+c.broker)
	}
}

// publishMany publishes so many messages over as many connections, on many channels.
func publishMany(b *testing.B, c *caddytest.Caddy, events, connections int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			for j := range events / connections {
				answer, err := client.Post(fmt.Sprint("http://", c.Hook, "/rooms/", i, "/", j%100), "application/json", strings.NewReader(`{"price":42.5,"volume":1000}`))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					b.Error("the hook answered ", answer.Status)
					return
				}
			}
		})
	}
	wg.Wait()
}
