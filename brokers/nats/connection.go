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

// connection keeps a connection to one of the servers until it is closed. One that
// is lost is not taken up again by the client: so nothing that was asked on it stays
// unanswered for long, or is sent later behind parker's back.
type connection struct {
	options nats.Options
	logger  *zap.Logger
	end     context.CancelFunc
	trouble logging.Rarely

	mu      sync.Mutex    // guards all below
	link    *link         // nil: there is none
	linked  chan struct{} // closed when there is one
	failure error         // why there is none
}

// link is a connection from when it was made until it is lost.
type link struct {
	conn *nats.Conn
	js   jetstream.JetStream
	lost context.Context // ends when it is
}

// How long is waited.
const (
	linkPatience    = time.Second     // for a connection
	dialPatience    = 2 * time.Second // for a server that is dialled
	pingInterval    = time.Second     // between two pings; the third without an answer ends the connection
	writePatience   = 2 * time.Second // for what is written to leave
	firstRedialWait = 50 * time.Millisecond
	lastRedialWait  = 2 * time.Second
)

var errConnecting = errors.New("no server has answered yet")

// connect begins to dial, and does not wait. The options hold the servers and what
// opens them.
func connect(options nats.Options, logger *zap.Logger) *connection {
	options.AllowReconnect = false
	options.Timeout = dialPatience
	options.PingInterval = pingInterval
	options.MaxPingsOut = 2
	options.FlusherTimeout = writePatience
	options.ReconnectOnFlusherError = true // which ends the connection here
	c := &connection{options: options, logger: logger, linked: make(chan struct{}), failure: errConnecting}
	c.options.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		// That the network fails is told when the connection is lost by it.
		if _, ok := errors.AsType[net.Error](err); !ok {
			c.trouble.Warn(logger, "the NATS server complains", err)
		}
	}
	c.options.LameDuckModeHandler = func(conn *nats.Conn) {
		logger.Debug("the NATS server is about to stop", zap.String("server", conn.ConnectedAddr()))
	}
	var ctx context.Context
	ctx, c.end = context.WithCancel(context.Background())
	go c.run(ctx)
	return c
}

// close ends the connection, and dials no more.
func (c *connection) close() { c.end() }

// run dials, whenever there is no connection, until the context ends.
func (c *connection) run(ctx context.Context) {
	options := c.options
	for failures := 0; ctx.Err() == nil; {
		lost, lose := context.WithCancelCause(ctx)
		options.ClosedCB = func(conn *nats.Conn) {
			err := conn.LastError()
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			lose(fmt.Errorf("the connection to NATS is lost: %w", err))
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

// hold offers a connection until it is lost.
func (c *connection) hold(conn *nats.Conn, lost context.Context) error {
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	c.logger.Debug("connected to a NATS server", zap.String("server", conn.ConnectedAddr()))
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
	c.logger.Debug("no connection to a NATS server", zap.Error(err))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// with has something done by a connection, if there is one soon. When that is lost,
// the client ends what is being asked.
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
		return context.Cause(ctx) // which says more
	}
	return err
}

// await returns a connection, if there is one soon.
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

// discovered is the servers of a cluster that one of them has told of. They are
// opened by the same user.
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
