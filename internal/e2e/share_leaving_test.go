package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestShareKeepsAnswerWhenLeaderDisconnects(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	url := "http://" + caddy.Site + "/feed"

	leader, leave := context.WithCancel(t.Context())
	joiner, leaveToo := context.WithCancel(t.Context())
	left := caddytest.Get(leader, url)
	ask := backend.Next(t)
	leftToo, stays := caddytest.Get(joiner, url), caddytest.Get(t.Context(), url)
	awaitJoined(t, caddy, 2)
	leave()
	<-left
	// Caddy has noticed that the first client disconnected when it notices the second.
	leaveToo()
	<-leftToo
	awaitJoined(t, caddy, 1)
	ask.Answer(200, "[1]")
	expect(t, "[1]", "none", stays)
	backend.Unasked(t)
}

func TestShareSurvivesLeaderThatReadsSlowly(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("large ", 2_000_000)
	for _, maxBody := range []string{"20MB", "1KB"} { // the answer is shared, or streams
		t.Run(maxBody, func(t *testing.T) {
			t.Parallel()
			caddy, backend := startScripted(t, parking("max_body "+maxBody))
			conn, err := net.Dial("tcp", caddy.Site)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /feed HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n", caddy.Site)
			ask := backend.Next(t)
			others := []<-chan caddytest.Answer{
				caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Accept-Encoding: gzip"),
				caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Accept-Encoding: gzip"),
			}
			awaitJoined(t, caddy, 2)
			go ask.Answer(200, large)
			for _, answered := range others {
				// If an answer takes too long to be shared, the other polls ask again.
				for waits := true; waits; {
					select {
					case ask := <-backend.Asks():
						go ask.Answer(200, large)
					case g := <-answered:
						if g.Err != nil || g.Body != large {
							t.Errorf("another poll got %d bytes, %v", len(g.Body), g.Err)
						}
						waits = false
					}
				}
			}
			// The leader gets the whole answer, too, once it reads.
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(answer.Body); err != nil || string(text) != large {
				t.Errorf("the leader got %d bytes, %v", len(text), err)
			}
			backend.Unasked(t)
		})
	}
}
