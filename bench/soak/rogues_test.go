package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// rogue connects again and again until the context ends, and never behaves.
func (s *soak) rogue(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", s.caddy.Site)
		if err == nil { // else Caddy reloads
			misbehave[rand.N(len(misbehave))](ctx, conn.(*net.TCPConn))
			conn.Close()
		}
		load.Pause(ctx, rand.N(300*time.Millisecond))
	}
}

// misbehave are ways to do so. Each returns with the connection to be closed.
var misbehave = []func(ctx context.Context, conn *net.TCPConn){stall, halfClose, reset, halfRequest, pipeline}

// stall asks for much and reads nothing.
func stall(ctx context.Context, conn *net.TCPConn) {
	conn.SetReadBuffer(4 << 10)
	io.WriteString(conn, anyRequest())
	load.Pause(ctx, rand.N(10*time.Second))
}

// halfClose has nothing more to say, but would still listen.
func halfClose(ctx context.Context, conn *net.TCPConn) {
	io.WriteString(conn, anyRequest())
	load.Pause(ctx, rand.N(300*time.Millisecond))
	conn.CloseWrite()
	conn.SetReadDeadline(time.Now().Add(rand.N(2 * time.Second)))
	io.Copy(io.Discard, conn)
}

// reset is gone without a good-bye.
func reset(ctx context.Context, conn *net.TCPConn) {
	io.WriteString(conn, anyRequest())
	load.Pause(ctx, rand.N(time.Second))
	conn.SetLinger(0)
}

// halfRequest does not get to the end of what it asks.
func halfRequest(ctx context.Context, conn *net.TCPConn) {
	request := anyRequest()
	io.WriteString(conn, request[:rand.N(len(request))])
	load.Pause(ctx, rand.N(time.Second))
}

// pipeline asks again before it is answered.
func pipeline(ctx context.Context, conn *net.TCPConn) {
	for range 3 {
		io.WriteString(conn, anyRequest())
		load.Pause(ctx, rand.N(300*time.Millisecond))
	}
}

// anyRequest is for a poll or a stream that is held.
func anyRequest() string {
	path := []string{"/feed/0?last_event_id=unknown", "/feed/1", "/asked/2", "/rooms/1?since=1000000", "/inbox?since=1000000"}[rand.N(5)]
	accept := []string{"*/*", "text/event-stream"}[rand.N(2)]
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nCookie: user=nobody\r\nAccept: %s\r\n\r\n", path, accept)
}
