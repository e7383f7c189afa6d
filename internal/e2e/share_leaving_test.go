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
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestShareKeepsAnswerWhenLeaderDisconnects(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	url := "http://" + caddy.Site + "/feed"

	leader, leave := context.WithCancel(t.Context())
	joiner, leaveToo := context.WithCancel(t.Context())
	left := caddytest.Get(leader, url)
	ask := backend.Next(t)
	leftToo, stays := caddytest.Get(joiner, url), caddytest.Get(t.Context(), url)
	caddy.AwaitInside(t, joined, 2)
	leave()
	<-left
	// Caddy has noticed that the first client disconnected when it notices the second.
	leaveToo()
	<-leftToo
	caddy.AwaitInside(t, joined, 1)
	ask.Answer(200, "[1]")
	if g := <-stays; g.Body != "[1]" || g.Release() != "none" {
		t.Errorf("the poll that stayed was answered %+v", g)
	}
	backend.Unasked(t)
}

func TestShareAsksOnceAfterLeaderTimesOut(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	impatient := caddytest.Get(t.Context(), url, "Prefer: wait=8")
	backend.Next(t).Answer(200, "[]")
	caddy.AwaitWaiting(t, "feed", 1)
	release(t, caddy, "feed", 1)
	replay := backend.Next(t)
	const polls = 20
	var joining []<-chan caddytest.Answer
	for range polls {
		joining = append(joining, caddytest.Get(t.Context(), url))
	}
	caddy.AwaitInside(t, joined, polls)
	next := backend.Next(t) // one of the polls asks after 5 s
	if g := <-impatient; g.Body != "[]" || g.Release() != "timeout" {
		t.Errorf("the poll that led was answered %+v", g)
	}
	<-replay.Gone()
	caddy.AwaitInside(t, joined, polls-1)
	backend.Unasked(t)
	next.Answer(200, "[1]")
	for _, answered := range joining {
		if g := <-answered; g.Body != "[1]" || g.Release() != "none" {
			t.Errorf("a poll that had joined was answered %+v", g)
		}
	}
	backend.Unasked(t)
}

func TestShareEndsAskThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	ctx, leave := context.WithCancel(t.Context())
	left := []<-chan caddytest.Answer{caddytest.Get(ctx, "http://"+caddy.Site+"/feed")}
	ask := backend.Next(t)
	for range 3 {
		left = append(left, caddytest.Get(ctx, "http://"+caddy.Site+"/feed"))
	}
	caddy.AwaitInside(t, joined, 3)
	leave()
	select {
	case <-ask.Gone():
	case <-time.After(caddytest.Patience):
		t.Error("the backend still works although no poll waits")
	}
	for _, answered := range left {
		<-answered
	}
	// Later polls start a new ask.
	stays := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	backend.Next(t).Answer(200, "[1]")
	if g := <-stays; g.Body != "[1]" {
		t.Errorf("a later poll was answered %+v", g)
	}
}

func TestShareSurvivesLeaderThatReadsSlowly(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("large ", 2_000_000)
	for name, maxBody := range map[string]string{"its answer is shared": "20MB", "its answer streams": "1KB"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			caddy := caddytest.Start(t, parking("max_body "+maxBody), backend.Address)
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
			caddy.AwaitInside(t, joined, 2)
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

func TestShareAskThatHangsDelaysNoOtherShare(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking(""), backend.Address)
	url := "http://" + caddy.Site + "/feed"
	hanging := caddytest.Get(t.Context(), url, "Cookie: user=a")
	hung := backend.Next(t)
	for _, other := range []struct{ url, cookie string }{{url, "user=b"}, {url + "?since=1", "user=a"}} {
		parked := caddytest.Get(t.Context(), other.url, "Cookie: "+other.cookie)
		backend.Next(t).Answer(200, "[]")
		caddy.AwaitWaiting(t, "feed", 1)
		release(t, caddy, "feed", 1)
		backend.Next(t).Answer(200, "[1]")
		if g := <-parked; g.Body != "[1]" || g.Release() != "replay" {
			t.Errorf("the poll of %v was answered %+v", other, g)
		}
	}
	hung.Answer(200, "[2]")
	if g := <-hanging; g.Body != "[2]" {
		t.Errorf("the poll that hung was answered %+v", g)
	}
}
