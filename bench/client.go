package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// client is a client of a crowd. It must only be used by its own goroutine.
type client struct {
	crowd  *crowd
	number int
	conn   net.Conn
	in     *bufio.Reader

	known   [len(remembered)]string // the header lines that the next poll repeats
	counted *round                  // the last publish that it has received
	extra   int                     // the number of answers since then
}

// dial connects.
func (c *client) dial(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.crowd.address)
	if err != nil {
		return fmt.Errorf("client %d: %w", c.number+1, err)
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 1<<10)
	c.crowd.keep(c.number, conn)
	return nil
}

// run polls, or follows the stream, until there is an error.
func (c *client) run(ctx context.Context) error {
	if c.crowd.streams {
		return c.follow()
	}
	for {
		answer, err := c.ask()
		if err != nil {
			return err
		}
		length, err := io.Copy(io.Discard, answer.Body)
		if err != nil {
			return err
		}
		if err := c.answered(answer.StatusCode == http.StatusOK && length > 0); err != nil {
			return err
		}
		c.remember(answer.Header)
		if answer.Close {
			c.conn.Close()
			if err := c.dial(ctx); err != nil {
				return err
			}
		}
	}
}

// ask sends a request and reads the header of the answer.
func (c *client) ask() (*http.Response, error) {
	c.crowd.sent.Add(1)
	if _, err := fmt.Fprintf(c.conn, "%sCookie: session=%032d\r\n%s\r\n", c.crowd.request, c.number, strings.Join(c.known[:], "")); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	streams := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
	switch status := answer.StatusCode; {
	case status >= 400 && status != http.StatusRequestTimeout:
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, fmt.Errorf("the server answered %s: %s", answer.Status, bytes.TrimSpace(said))
	case streams && !c.crowd.streams:
		return nil, errors.New("the server answered a poll with a stream")
	case !streams && c.crowd.streams:
		return nil, fmt.Errorf("the server did not answer with a stream: %s, %q", answer.Status, answer.Header.Get("Content-Type"))
	}
	return answer, nil
}

// remembered lists the fields of an answer that the next poll repeats, and the request
// fields that it uses (RFC 9110, section 13.1). The last is the position, for servers
// that have one.
var remembered = [...]struct{ told, said string }{
	{"Etag", "If-None-Match"},
	{"Last-Modified", "If-Modified-Since"},
	{"Last-Event-Id", "Last-Event-ID"},
}

// remember stores the fields of an answer that the next poll repeats.
func (c *client) remember(header http.Header) {
	for i, field := range remembered {
		if value := header.Get(field.told); value != "" {
			c.known[i] = field.said + ": " + value + "\r\n"
		}
	}
}

// follow reads an event stream.
func (c *client) follow() error {
	answer, err := c.ask()
	if err != nil {
		return err
	}
	c.crowd.open.Add(1)
	for events := eventstream.NewReader(answer.Body); ; {
		_, err := events.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the server has ended the stream")
		case err != nil:
			return err
		}
		c.heard()
	}
}

// heard records that the client has received news. It returns false if that is not the
// first news since a publish.
func (c *client) heard() bool {
	r := c.crowd.round.Load()
	if r == nil || r == c.counted {
		return false
	}
	c.counted = r
	r.heard()
	return true
}

// tooMany is the number of answers between two publishes that shows that the server does
// not hold polls.
const tooMany = 20

// answered records an answer to a poll. It returns an error if the server does not hold
// polls.
func (c *client) answered(news bool) error {
	if news && c.heard() {
		c.extra = 0
		return nil
	}
	c.extra++
	if c.extra == tooMany {
		return errNotHeld
	}
	return nil
}
