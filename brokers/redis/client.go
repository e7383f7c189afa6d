package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// Time limits for the server.
const (
	dialPatience   = time.Second     // to accept a connection and the handshake
	answerPatience = 3 * time.Second // to answer a reader, beyond the time that a read blocks
	takePatience   = 5 * time.Second // to accept appended entries, which may be megabytes
)

var errSilent = errors.New("the server does not answer")

// clientOptions returns the options that users cannot set.
func clientOptions() rueidis.ClientOption {
	var o rueidis.ClientOption
	o.Dialer.Timeout = dialPatience
	o.Dialer.KeepAlive = time.Second // also how often a silent connection is asked for a sign of life
	o.ConnWriteTimeout = takePatience
	o.ClientName = "parker"
	o.ClientSetInfo = rueidis.DisableClientSetInfo
	// The replica retries by itself, as it must keep the order of the entries.
	o.DisableRetry = true
	o.DisableCache = true
	// One connection carries all publications. Reading uses connections of its own.
	o.PipelineMultiplex = -1
	o.RingScaleEachConn = 8
	o.ReadBufferEachConn = 64 << 10
	o.WriteBufferEachConn = 64 << 10
	o.ClusterOption.ShardsRefreshInterval = 10 * time.Second
	o.ClusterOption.MaxMovedRedirections = 3
	o.Sentinel.TopologyRefreshInterval = 5 * time.Second
	return o
}

// connect returns the client. The first call creates it, and later calls try again if
// that failed: for a cluster or sentinels, creating a client needs their answer.
func (l *log) connect(ctx context.Context) (rueidis.Client, error) {
	l.mu.Lock()
	client := l.client
	l.mu.Unlock()
	if client != nil {
		return client, nil
	}
	select {
	case made := <-l.connecting.DoChan("", l.makeClient):
		if made.Err != nil {
			return nil, made.Err
		}
		return made.Val.(rueidis.Client), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *log) makeClient() (any, error) {
	client, err := rueidis.NewClient(l.options)
	if client == nil {
		return nil, err
	}
	// The client of a single server is returned even if the server is unreachable. It
	// connects later.
	l.mu.Lock()
	closed, earlier := l.closed, l.client
	if !closed && earlier == nil {
		l.client = client
	}
	l.mu.Unlock()
	switch {
	case closed:
		client.Close()
		return nil, rueidis.ErrClosing
	case earlier != nil:
		client.Close()
		return earlier, nil
	}
	return client, err
}

// Close implements [replica.Log].
func (l *log) Close() {
	l.mu.Lock()
	client := l.client
	l.client, l.closed = nil, true
	l.mu.Unlock()
	if client != nil {
		leave(client)
	}
}

// leave closes a client or a connection in the background. Close may wait some seconds
// for a server that does not answer.
func leave(c interface{ Close() }) { go c.Close() }

// patient returns a context that is canceled with errSilent after patience. It has no
// deadline, for the reason given at attentive.
func patient(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() { cancel(errSilent) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// attentive returns a context that ends with ctx, but has no deadline: given a context
// with a deadline, the client does not notice that it is canceled earlier.
func attentive(ctx context.Context) (context.Context, context.CancelFunc) {
	attended, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return attended, func() {
		stop()
		cancel(nil)
	}
}

// why returns the cause if err is not nil and the context has ended, and err otherwise.
func why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// firstError returns the first error among answers. A nil reply of Redis is not an error.
func firstError(answers []rueidis.RedisResult) error {
	for _, answer := range answers {
		if err := answer.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
	}
	return nil
}
