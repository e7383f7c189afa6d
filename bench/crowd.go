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

// patience is how long all clients have to be held, and to hear of a publish.
const patience = 20 * time.Second

// crowd is clients that wait for news at one URL: each has a connection, and a
// goroutine.
type crowd struct {
	address string // to which they connect
	request string // what each sends, but for its cookie and what it has heard
	streams bool   // they open streams; else they poll, again and again

	sent  atomic.Int64 // requests
	open  atomic.Int64 // streams that are
	round atomic.Pointer[round]

	all  sync.WaitGroup
	mu   sync.Mutex // guards what is below
	left bool
	conn []net.Conn // the clients', by their number; nil once a client is lost
	lost []error    // why each is that was lost
}

// browser is what one sends with each request, besides what it asks for and its
// cookie.
const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n" +
	"Referer: http://legacy.example/rooms/7\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"

const (
	pollFields   = "Accept: */*\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
	streamFields = "Accept: text/event-stream\r\nAccept-Encoding: identity\r\nCache-Control: no-cache\r\n"
)

// newCrowd makes a crowd without clients, which are to send these lines, too.
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

// add adds clients, and returns once each has its connection.
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

// leave has all clients leave.
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

// keep notes a client's connection.
func (c *crowd) keep(number int, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		conn.Close()
	}
	c.conn[number] = conn
}

// lose notes why a client has ended.
func (c *crowd) lose(member *client, err error) {
	member.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		c.conn[member.number] = nil
		c.lost = append(c.lost, err)
	}
}

// size is how many clients there are, and why the first was lost that was.
func (c *crowd) size() (n int, lost error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lost) > 0 {
		lost = fmt.Errorf("%d of %d clients were lost: %w", len(c.lost), len(c.conn), c.lost[0])
	}
	return len(c.conn) - len(c.lost), lost
}

// hear publishes, and returns when all clients have heard or patience is over.
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

// errNotHeld is that a server does not do what is measured.
var errNotHeld = errors.New("requests are answered at once, again and again, without a publish: the URL does not hold them")
