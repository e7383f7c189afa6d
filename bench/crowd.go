package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patience is the time within which all clients must be held, and must receive an event.
const patience = 20 * time.Second

// crowd is a number of clients that wait for news at a URL. Each has its own connection
// and goroutine.
type crowd struct {
	address string // the address to connect to
	request string // the request of each client, without its cookie and validators
	streams bool   // clients open streams instead of polling

	sent  atomic.Int64 // the number of requests sent
	open  atomic.Int64 // the number of streams opened
	round atomic.Pointer[round]

	all  sync.WaitGroup
	mu   sync.Mutex // guards all below
	left bool
	conn []net.Conn // the connection of each client by its number, or nil if it was lost
	lost []error    // the error of each client that was lost
}

// browser contains header fields that browsers send with each request.
const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n" +
	"Referer: http://legacy.example/rooms/7\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"

const (
	pollFields   = "Accept: */*\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
	streamFields = "Accept: text/event-stream\r\nAccept-Encoding: identity\r\nCache-Control: no-cache\r\n"
)

// newCrowd returns a crowd without clients. header contains lines to add to the requests.
func newCrowd(target *url.URL, header []string, streams bool) *crowd {
	c := &crowd{address: target.Host, streams: streams}
	if target.Port() == "" {
		c.address = net.JoinHostPort(target.Hostname(), "80")
	}
	var request strings.Builder
	fmt.Fprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s", target.RequestURI(), target.Host, browser)
	if streams {
		request.WriteString(streamFields)
	} else {
		request.WriteString(pollFields)
	}
	for _, line := range header {
		request.WriteString(line + "\r\n")
	}
	c.request = request.String()
	return c
}

// add adds n clients, and returns when all of them are connected.
func (c *crowd) add(ctx context.Context, n int) error {
	for range n {
		c.mu.Lock()
		member := &client{crowd: c, number: len(c.conn)}
		c.conn = append(c.conn, nil)
		c.mu.Unlock()
		if err := member.dial(ctx); err != nil {
			return err
		}
		c.all.Go(func() {
			err := member.run(ctx)
			c.lose(member, err)
		})
	}
	return nil
}

// leave closes all connections and waits for the clients to end.
func (c *crowd) leave() {
	c.mu.Lock()
	c.left = true
	for _, conn := range c.conn {
		if conn != nil {
			conn.Close()
		}
	}
	c.mu.Unlock()
	c.all.Wait()
}

// keep records a client's connection.
func (c *crowd) keep(number int, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		conn.Close()
	}
	c.conn[number] = conn
}

// lose records the error with which a client has ended.
func (c *crowd) lose(member *client, err error) {
	member.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		c.conn[member.number] = nil
		c.lost = append(c.lost, err)
	}
}

// size returns the number of clients, and an error if some were lost.
func (c *crowd) size() (n int, lost error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lost) > 0 {
		lost = fmt.Errorf("%d of %d clients were lost: %w", len(c.lost), len(c.conn), c.lost[0])
	}
	return len(c.conn) - len(c.lost), lost
}

// hear publishes, and returns when all clients have received the event or patience has
// passed.
func (c *crowd) hear(ctx context.Context, publish func(context.Context) error) (*round, error) {
	n, lost := c.size()
	if lost != nil {
		return nil, lost
	}
	r := newRound(n)
	c.round.Store(r)
	defer c.round.Store(nil)
	if err := publish(ctx); err != nil {
		return nil, err
	}
	tooLong := time.NewTimer(patience)
	defer tooLong.Stop()
	select {
	case <-r.done:
	case <-tooLong.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return r, nil
}

// errNotHeld is the error if a server does not hold requests.
var errNotHeld = errors.New("the URL does not hold requests: they are answered again and again without a publish")
