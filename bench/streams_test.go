package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// How long events take to a thousand readers, and what each costs Caddy: a hundred
// are published a second, each iteration is one of them. Publisher and readers run
// on the same machine.
func BenchmarkStreams(b *testing.B) {
	for _, channels := range []int{10, 1} {
		b.Run(fmt.Sprint(1000/channels, " hear each"), func(b *testing.B) { stream(b, 1000, channels) })
	}
}

func stream(b *testing.B, readers, channels int) {
	c := caddytest.Start(b, `
http://{$SITE} {
	parker /events/* {
		hold messages
		sse {
			queue 1000
		}
	}
}`+hook, "127.0.0.1:1")
	took := make(chan time.Duration, 1_000_000)
	var all sync.WaitGroup
	defer all.Wait()
	for i := range readers {
		conn, err := net.Dial("tcp", c.Site)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /events/%d HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", i%channels, c.Site)
		all.Go(func() { read(conn, took) })
		defer conn.Close()
	}
	for i := range channels {
		awaitStreams(b, c, i, readers/channels)
	}

	var heard []time.Duration
	before := cpu(b, c.Pid())
	tick := time.NewTicker(10 * time.Millisecond)
	for i := 0; b.Loop(); i++ {
		<-tick.C
		c.Publish(b, fmt.Sprint("events/", i%channels), "text/plain", strconv.FormatInt(time.Now().UnixNano(), 10))
		heard = drain(heard, took)
	}
	for want := b.N * readers / channels; len(heard) < want; {
		heard = append(heard, <-took)
	}
	used := cpu(b, c.Pid()) - before
	slices.Sort(heard)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(heard[len(heard)/2].Seconds()*1000, "ms-p50")
	b.ReportMetric(heard[len(heard)*99/100].Seconds()*1000, "ms-p99")
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(len(heard)), "µs-cpu/event")
}

// read tells how long each event took, until the connection is closed.
func read(conn net.Conn, took chan<- time.Duration) {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return
	}
	parts := caddytest.NewEventReader(answer.Body)
	for part, err := parts.Next(); err == nil; part, err = parts.Next() {
		if part.Event != nil {
			sent, _ := strconv.ParseInt(part.Event.Data, 10, 64)
			took <- time.Duration(time.Now().UnixNano() - sent)
		}
	}
}

func drain(heard []time.Duration, took <-chan time.Duration) []time.Duration {
	for {
		select {
		case d := <-took:
			heard = append(heard, d)
		default:
			return heard
		}
	}
}

func awaitStreams(b *testing.B, c *caddytest.Caddy, channel, n int) {
	b.Helper()
	want := fmt.Sprintf(`"streams":%d,`, n)
	caddytest.Await(b, "the streams are open", func() bool {
		url := fmt.Sprint("http://", c.Hook, "/events/", channel)
		return strings.Contains(caddytest.Do(b.Context(), http.MethodGet, url, "").Body, want)
	})
}
