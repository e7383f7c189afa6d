package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/examples/internal/run"
	"github.com/caddy-parker/parker/internal/openfiles"
)

const (
	manyClients = 10_000

	// spareFiles is the number of open files to leave for everything but the clients.
	spareFiles = 1000

	// interval is how long a client waits after an answer without news.
	interval = time.Second

	// dials is the number of concurrent dials.
	dials = 100
)

// number returns the number of clients.
func number() (int, error) {
	fit := openfiles.Limit() - spareFiles
	text, chosen := os.LookupEnv("JETTY_CHAT_CLIENTS")
	if !chosen {
		return min(manyClients, max(0, fit)), nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return 0, fmt.Errorf("JETTY_CHAT_CLIENTS is %q, but must be a number", text)
	case n > fit:
		return 0, fmt.Errorf("%d clients do not fit: a process can have %d files open (ulimit -n), of which %d are reserved", n, openfiles.Limit(), spareFiles)
	}
	return n, nil
}

// startClients starts a process for the clients, as the limit of open files applies to
// each process. It ends when it loses a connection, so at the latest with this process.
func startClients(string) error {
	n, err := number()
	if err != nil || n == 0 {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	clients := exec.Command(self, clientsCommand)
	clients.Stdout, clients.Stderr = os.Stdout, os.Stderr
	if err := clients.Start(); err != nil {
		return fmt.Errorf("starting the clients: %w", err)
	}
	go clients.Wait() // the process prints its own errors
	return nil
}

// beClients runs the clients: it connects them once the site is up, prints the table, and
// lets them poll until the example ends.
func beClients() error {
	n, err := number()
	if err != nil {
		return err
	}
	if err := run.AwaitListening(sitePort.Number(), nil); err != nil {
		return fmt.Errorf("port %s: %w", sitePort.Number(), err)
	}
	c := &crowd{lost: make(chan error, n), heard: make(chan arrival, 2*n)}
	c.path.Store(new(through))
	measured := make(chan error, 1)
	go func() {
		measured <- measure(c, n)
		for range c.heard {
			// Later messages only concern the page.
		}
	}()
	for err == nil {
		select {
		case err = <-measured:
		case err = <-c.lost:
		}
	}
	conn, ended := net.Dial("tcp", net.JoinHostPort("127.0.0.1", sitePort.Number()))
	if ended != nil {
		return nil // the example has ended
	}
	conn.Close()
	return err
}

// The paths of the chat, with and without parker.
const (
	through = "/messages"
	around  = "/direct/messages"
)

// crowd is a set of clients that poll like the page of the chat, without knowing parker.
type crowd struct {
	path  atomic.Pointer[string] // of their next polls
	lost  chan error             // with room for one error of each client
	heard chan arrival           // with room for two messages to each client
}

// arrival is the arrival of a message at one client.
type arrival struct {
	message int64
	at      time.Time
}

// connect adds clients, and returns once each has its connection.
func (c *crowd) connect(n int) error {
	turns := make(chan struct{}, dials)
	dialled := make(chan error, n)
	for range n {
		turns <- struct{}{}
		go func() {
			conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", sitePort.Number()))
			<-turns
			dialled <- err
			if err == nil {
				c.lost <- c.poll(conn)
			}
		}()
	}
	var failed []error
	for range n {
		if err := <-dialled; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d could not connect: %w", len(failed), n, failed[0])
	}
	return nil
}

// poll runs one client until its connection fails.
func (c *crowd) poll(conn net.Conn) error {
	defer conn.Close()
	// Spread the clients over the interval, as pages are not opened all at once.
	time.Sleep(rand.N(interval))
	answers := bufio.NewReaderSize(conn, 1<<10)
	for last := int64(0); ; {
		if _, err := fmt.Fprintf(conn, "GET %s?since=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", *c.path.Load(), last); err != nil {
			return err
		}
		messages, err := readMessages(answers)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			time.Sleep(interval)
			continue
		}
		now := time.Now()
		for _, message := range messages {
			last = message.ID
			c.heard <- arrival{last, now}
		}
	}
}

type message struct{ ID int64 }

func readMessages(answers *bufio.Reader) (messages []message, err error) {
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New("a poll is answered " + answer.Status)
	}
	return messages, json.NewDecoder(answer.Body).Decode(&messages)
}
