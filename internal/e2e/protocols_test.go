package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// protocolsSite parks GET and POST requests of each protocol, on the channel that is
// their path.
const protocolsSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	parker {
		methods GET POST
		timeout 60s
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// scene is a client of one protocol and a page that no other client asks for.
type scene struct {
	caddy         *caddytest.Secure
	pages         *caddytest.Pages
	client        *caddytest.Client
	path, channel string // of the page, which is an empty list at the start
}

// eachProtocol runs the test with each protocol against one Caddy.
func eachProtocol(t *testing.T, caddyfile string, test func(t *testing.T, s scene)) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.StartSecure(t, caddyfile, pages.Address)
	for i, protocol := range caddytest.Protocols {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			channel := fmt.Sprintf("protocol/%d", i)
			pages.Put("/"+channel, emptyList)
			test(t, scene{caddy, pages, caddy.Client(t, protocol), "/" + channel, channel})
		})
	}
}

func TestProtocolsGiveSameAnswers(t *testing.T) {
	eachProtocol(t, protocolsSite, func(t *testing.T, s scene) {
		parked := s.client.Get(t.Context(), s.path)
		s.caddy.AwaitWaiting(t, s.channel, 1)
		s.pages.Put(s.path, caddytest.Page{Body: "[1]"})
		s.caddy.Publish(t, s.channel, "", "")
		expect(t, "[1]", "replay", parked)
		if n := s.pages.Asks(s.path); n != 2 {
			t.Errorf("the backend was asked %d times", n)
		}

		expect(t, "[1]", "none", s.client.Get(t.Context(), s.path))

		s.pages.Put(s.path, emptyList)
		parked = s.client.Get(t.Context(), s.path)
		s.caddy.AwaitWaiting(t, s.channel, 1)
		published := s.caddy.Publish(t, s.channel, "", `{"text":"hello"}`)
		g := <-parked
		if g.Err != nil || g.Status != 200 || g.Body != `{"text":"hello"}` || g.Release() != "message" || g.Header.Get("Content-Type") != "application/json" {
			t.Errorf("after a message the poll was answered %+v", g)
		}
		if id := g.Header.Get("Last-Event-ID"); id == "" || !strings.Contains(published, `"position":"`+id+`"`) {
			t.Errorf("Last-Event-ID is %q, and the hook answered %s", id, published)
		}

		g = s.client.Do(t.Context(), http.MethodGet, s.path, "", "Prefer: wait=1")
		if g.Err != nil || g.Status != 200 || g.Body != "[]" || g.Release() != "timeout" || g.Header.Get("X-Legacy") != "yes" {
			t.Errorf("at the timeout the poll was answered %+v", g)
		}
	})
}

func TestProtocolsForgetAllRequestsOfClosedConnection(t *testing.T) {
	eachProtocol(t, protocolsSite, func(t *testing.T, s scene) {
		const polls = 5
		var parked []<-chan caddytest.Answer
		for range polls {
			parked = append(parked, s.client.Get(t.Context(), s.path))
		}
		s.caddy.AwaitWaiting(t, s.channel, polls)
		s.client.Disconnect()
		for _, answered := range parked {
			<-answered
		}
		s.caddy.AwaitWaiting(t, s.channel, 0)
	})
}

// The answer names the wait that is applied, which is never longer than the timeout.
func TestProtocolsCapTimeoutOnHTTP3Only(t *testing.T) {
	eachProtocol(t, protocolsSite, func(t *testing.T, s scene) {
		for _, wait := range []string{"wait=22", "wait=26"} {
			parked := s.client.Get(t.Context(), s.path, "Prefer: "+wait)
			s.caddy.AwaitWaiting(t, s.channel, 1)
			s.caddy.Publish(t, s.channel, "", "hello")
			want := wait
			if s.client.Protocol == caddytest.HTTP3 && wait == "wait=26" {
				want = ""
			}
			if g := <-parked; g.Body != "hello" || g.Header.Get("Preference-Applied") != want {
				t.Errorf("%s was answered %+v, want Preference-Applied: %s", wait, g, want)
			}
		}
	})
}

// plainConn returns a connection to the site, on which the test writes HTTP/1.1 itself.
func plainConn(t *testing.T, caddy *caddytest.Caddy) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", caddy.Site)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(caddytest.Patience))
	return conn.(*net.TCPConn), bufio.NewReader(conn)
}

func TestProtocolsForgetHalfClosedConnection(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/feed", emptyList)
	caddy := caddytest.StartSecure(t, protocolsSite, pages.Address)
	for _, request := range []string{
		"GET /feed HTTP/1.1\r\nHost: %s\r\n\r\n",
		"POST /feed HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\n{}",
		"POST /feed HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	} {
		conn, _ := plainConn(t, caddy.Caddy)
		fmt.Fprintf(conn, request, caddy.Site)
		caddy.AwaitWaiting(t, "feed", 1)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		caddy.AwaitWaiting(t, "feed", 0)
	}
}
