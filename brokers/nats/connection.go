package nats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/internal/logging"
)

// connection keeps a connection to one of the servers until it is closed. The NATS
// client's own reconnecting is disabled: a request on a lost connection then fails soon,
// and is not sent later without parker's knowledge.
type connection struct {
	options nats.Options
	logger  *zap.Logger
	end     context.CancelFunc
	trouble logging.Rarely

	mu      sync.Mutex    // guards all below
	link    *link         // nil if not connected
	linked  chan struct{} // closed when connected
	failure error         // why link is nil
}

// link is one connection, from when it is established until it is lost.
type link struct {
	conn *nats.Conn
	js   jetstream.JetStream
	lost context.Context // ends when the connection is lost
}

// Time limits.
const (
	linkPatience    = time.Second     // how long a request waits for a connection
	dialPatience    = 2 * time.Second // how long dialing a server may take
	pingInterval    = time.Second     // between pings; the third without an answer ends the connection
	writePatience   = 2 * time.Second // how long a write may take
	firstRedialWait = 50 * time.Millisecond
	lastRedialWait  = 2 * time.Second
)

var errConnecting = errors.New("no server has answered yet")

// connect starts to dial and does not wait. The options hold the servers and the
// credentials.
func connect(options nats.Options, logger *zap.Logger) *connection {
	options.AllowReconnect = false
	options.Timeout = dialPatience
	options.PingInterval = pingInterval
	options.MaxPingsOut = 2
	options.FlusherTimeout = writePatience
	options.ReconnectOnFlusherError = true // which ends the connection here
	c := &connection{options: options, logger: logger, linked: make(chan struct{}), failure: errConnecting}
	c.options.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		// A network error is reported when the connection is lost.
		if _, ok := errors.AsType[net.Error](err); !ok {
			c.trouble.Warn(logger, "NATS server reported an error", err)
		}
	}
	c.options.LameDuckModeHandler = func(conn *nats.Conn) {
		logger.Debug("NATS server is shutting down", zap.String("server", conn.ConnectedAddr()))
	}
	var ctx context.Context
	ctx, c.end = context.WithCancel(context.Background())
	go c.run(ctx)
	return c
}

// close ends the connection and stops dialing.
func (c *connection) close() { c.end() }

// run dials whenever there is no connection, until the context ends.
func (c *connection) run(ctx context.Context) {
	options := c.options
	for failures := 0; ctx.Err() == nil; {
		lost, lose := context.WithCancelCause(ctx)
		options.ClosedCB = func(conn *nats.Conn) {
			err := conn.LastError()
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			lose(fmt.Errorf("connection to NATS lost: %w", err))
		}
		conn, err := options.Connect()
		if err == nil {
			failures = 0
			server := conn.ConnectedUrl()
			err = c.hold(conn, lost)
			options.Servers = append(slices.Clone(c.options.Servers), discovered(conn, server)...)
		}
		lose(nil)
		if ctx.Err() != nil {
			return
		}
		c.failed(err)
		failures++
		wait := min(firstRedialWait<<min(failures, 10), lastRedialWait)
		select {
		case <-time.After(wait - rand.N(wait/2)):
		case <-ctx.Done():
		}
	}
}

// hold makes a connection available to with until it is lost. It returns why.
func (c *connection) hold(conn *nats.Conn, lost context.Context) error {
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	c.logger.Debug("connected to NATS server", zap.String("server", conn.ConnectedAddr()))
	c.mu.Lock()
	c.link = &link{conn, js, lost}
	close(c.linked)
	c.mu.Unlock()

	<-lost.Done()
	c.mu.Lock()
	c.link, c.linked = nil, make(chan struct{})
	c.mu.Unlock()
	return context.Cause(lost)
}

func (c *connection) failed(err error) {
	c.logger.Debug("not connected to NATS server", zap.Error(err))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// with calls do with a connection. It fails if there is none within linkPatience. When
// the connection is lost, the client ends the requests on it.
func (c *connection) with(ctx context.Context, do func(*link) error) error {
	l, err := c.await(ctx)
	if err != nil {
		return err
	}
	err = do(l)
	switch {
	case err != nil && l.conn.IsClosed():
		<-l.lost.Done() // at once
		return context.Cause(l.lost)
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx) // more specific than err
	}
	return err
}

// await returns the connection. It waits for one for at most linkPatience.
func (c *connection) await(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	for {
		c.mu.Lock()
		l, linked, failure := c.link, c.linked, c.failure
		c.mu.Unlock()
		switch {
		case l != nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("connecting to NATS: %w", failure)
		}
		select {
		case <-linked:
		case <-ctx.Done():
		}
	}
}

// discovered returns the servers of the cluster that the connected server announced. The
// same user logs in there.
func discovered(conn *nats.Conn, by string) (servers []string) {
	teller, err := url.Parse(by)
	if err != nil {
		return nil
	}
	for _, text := range conn.DiscoveredServers() {
		if server, err := url.Parse(text); err == nil {
			server.User = teller.User
			servers = append(servers, server.String())
		}
	}
	return servers
}
