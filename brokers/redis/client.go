package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// How long the server has.
const (
	dialPatience   = time.Second     // to accept a connection, and to greet
	answerPatience = 3 * time.Second // to answer what a reader asks, beside the time that a read waits
	takePatience   = 5 * time.Second // to take what is appended, megabytes perhaps
)

var errSilent = errors.New("the server does not answer")

// clientOptions are those that are not the user's.
func clientOptions() rueidis.ClientOption {
	var o rueidis.ClientOption
	o.Dialer.Timeout = dialPatience
	o.Dialer.KeepAlive = time.Second // also how often a silent connection is asked for a sign of life
	o.ConnWriteTimeout = takePatience
	o.ClientName = "parker"
	o.ClientSetInfo = rueidis.DisableClientSetInfo
	// What fails is repeated by the replica, which knows what depends on it.
	o.DisableRetry = true
	o.DisableCache = true
	// One connection carries what all publish; reading has its own.
	o.PipelineMultiplex = -1
	o.RingScaleEachConn = 8
	o.ReadBufferEachConn = 64 << 10
	o.WriteBufferEachConn = 64 << 10
	o.ClusterOption.ShardsRefreshInterval = 10 * time.Second
	o.ClusterOption.MaxMovedRedirections = 3
	o.Sentinel.TopologyRefreshInterval = 5 * time.Second
	return o
}

// connect returns the client. It is made when it is first needed, and again until
// that succeeds: to make one is to ask a cluster or sentinels what there is.
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
	// A client of one server is there also where that is away, and connects later.
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

// leave closes a client or a connection, and does not wait for the server to say
// goodbye: that ends by itself after some seconds of silence.
func leave(c interface{ Close() }) { go c.Close() }

// patient is a context that ends with errSilent after some time. It has no deadline,
// for the reason that attentive gives.
func patient(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() { cancel(errSilent) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// attentive is ctx without its deadline, at which it ends all the same: with one, the
// client does not notice that ctx ends before.
func attentive(ctx context.Context) (context.Context, context.CancelFunc) {
	attended, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return attended, func() {
		stop()
		cancel(nil)
	}
}

// why is what ended a context, if it has ended, and else the error.
func why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// firstError is the first error among answers, but for nil ones.
func firstError(answers []rueidis.RedisResult) error {
	for _, answer := range answers {
		if err := answer.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
	}
	return nil
}
