package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/internal/replica"
)

// tail is one run of Tail. It is used by a single goroutine.
type tail struct {
	*log
	link    *link
	receive func(replica.Batch)
	epoch   string

	start     mark   // where the last run stopped, or zero to read from the beginning
	read      mark   // how far the stream has been read
	begun     bool   // the first message of the stream is known
	floor     uint64 // messages up to here may be missing
	delivered uint64 // the number of messages that the consumer has sent
	entries   []replica.Entry
	bytes     int  // the size of the messages in entries
	given     bool // a batch was passed on
	inStep    bool // the end of the stream was reached at least once
	advanced  time.Time
}

// view is the state of the stream at one moment.
type view struct {
	info *jetstream.StreamInfo
	read uint64 // how far the stream had been read when the state was requested
	err  error
}

const (
	lookInterval = 500 * time.Millisecond // between two requests for the stream's state
	lookPatience = 2 * time.Second        // how long the answer may take
	advance      = 3 * time.Second        // how long the next message may take, if there are more
	heartbeat    = time.Second            // of the consumer; one may be missing
	idleConsumer = 10 * time.Second       // after which the server removes a consumer
	pullMessages = 256                    // the most messages in flight
	pullBytes    = 8 << 20                // the most bytes in flight, but at least one message
	maxBatch     = 256                    // the most entries in a batch
	maxBytes     = 4_000_000              // of messages in a batch, without the last one
)

var (
	errStuck   = errors.New("the server does not deliver messages that the stream holds")
	errMissing = errors.New("messages from the server were lost in transit")
)

// Tail implements [replica.Log].
//
// A consumer delivers the messages of the stream. It may run on a server that lags behind
// the stream's leader, so only the leader's answer counts as the end of the stream. The
// leader is asked periodically, which also detects that the stream was replaced.
func (l *log) Tail(ctx context.Context, after uint64, receive func(replica.Batch)) error {
	return l.with(ctx, func(link *link) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		epoch, start := l.startAfter(after)
		t := &tail{log: l, link: link, receive: receive, epoch: epoch, start: start, read: start, begun: after > 0, advanced: time.Now()}
		first := l.view(ctx, link, start.read)
		if err := t.begin(ctx, first); err != nil {
			return err
		}
		messages, failed := make(chan jetstream.Msg, 16), make(chan error, 1)
		consuming, err := t.consume(ctx, messages, failed)
		if err != nil {
			return fmt.Errorf("creating a consumer: %w", err)
		}
		defer consuming.Stop()
		if err := t.judge(ctx, first); err != nil {
			return err
		}
		return t.follow(ctx, messages, failed)
	})
}

// startAfter returns where to continue after an offset. It also skips messages after that
// offset that were already read and are not entries.
func (l *log) startAfter(offset uint64) (epoch string, start mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset > 0 && l.mark.entry == offset {
		return l.epoch, l.mark
	}
	return l.epoch, mark{entry: offset, read: offset}
}

// view requests the state of the stream.
func (l *log) view(ctx context.Context, link *link, read uint64) view {
	ctx, cancel := context.WithTimeoutCause(ctx, lookPatience, errNoAnswer)
	defer cancel()
	info, err := l.look(ctx, link)
	if err != nil {
		err = fmt.Errorf("requesting the state of the stream: %w", causeOf(ctx, err))
	}
	return view{info, read, err}
}

// begin checks that the stream holds all messages to be read.
func (t *tail) begin(ctx context.Context, first view) error {
	if err := t.same(first); err != nil {
		return err
	}
	state := first.info.State
	switch {
	case state.LastSeq < t.start.read:
		return t.tooShort(ctx)
	case t.begun && state.FirstSeq > t.start.read+1:
		return replica.ErrGap
	case !t.begun && state.NumDeleted > 0:
		// Some messages within the stream were deleted, by other limits or by hand.
		info, err := t.look(ctx, t.link, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		t.floor = slices.Max(append(info.State.Deleted, 0))
	}
	return nil
}

// same returns an error if the stream is not the one that Epoch named.
func (t *tail) same(v view) error {
	switch {
	case v.err != nil:
		return v.err
	case epochOf(v.info) != t.epoch:
		return errOther
	}
	return nil
}

// consume has the server send all messages, starting with the last one that was read, to
// check that it is unchanged.
func (t *tail) consume(ctx context.Context, messages chan<- jetstream.Msg, failed chan<- error) (jetstream.ConsumeContext, error) {
	config := jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: idleConsumer,
		MemoryStorage:     true,
		Replicas:          1,
	}
	if t.start.read > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, t.start.read
	}
	patient, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	consumer, err := t.link.js.CreateConsumer(patient, t.config.Name, config)
	if err != nil {
		return nil, causeOf(patient, err)
	}
	return consumer.Consume(
		func(m jetstream.Msg) {
			select {
			case messages <- m:
			case <-ctx.Done():
			}
		},
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, int(max(pullBytes, 2*t.link.conn.MaxPayload()))),
		jetstream.PullHeartbeat(heartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case failed <- err:
			default:
			}
		}),
	)
}

// follow reads until the context ends or reading fails.
func (t *tail) follow(ctx context.Context, messages <-chan jetstream.Msg, failed <-chan error) error {
	views, due := make(chan view, 1), time.NewTimer(lookInterval)
	defer due.Stop()
	for looking := false; ; {
		var err error
		select {
		case m := <-messages:
			var last bool
			if last, err = t.takeAll(ctx, m, messages); last && !t.inStep && !looking {
				due.Reset(0)
			}
		case <-due.C:
			looking = true
			go func(read uint64) { views <- t.view(ctx, t.link, read) }(t.read.read)
		case v := <-views:
			looking = false
			due.Reset(lookInterval)
			err = t.judge(ctx, v)
		case err = <-failed:
			err = fmt.Errorf("consumer failed: %w", err)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// judge evaluates the state of the stream: whether its end was reached, messages were
// lost, or the consumer is stuck.
func (t *tail) judge(ctx context.Context, v view) error {
	if err := t.same(v); err != nil {
		return err
	}
	state := v.info.State
	if !t.begun && state.Msgs == 0 {
		t.begun, t.floor = true, max(t.floor, state.LastSeq)
		t.read = mark{entry: t.floor, read: state.LastSeq}
	}
	switch {
	case state.LastSeq < v.read:
		return t.tooShort(ctx)
	case t.begun && t.read.read >= state.LastSeq:
		t.inStep, t.advanced = true, time.Now()
		t.give(true)
	case time.Since(t.advanced) > advance:
		return errStuck
	}
	t.longEnough()
	return nil
}

// takeAll handles a message and the ones that have arrived after it. last reports whether
// the consumer has no more messages.
func (t *tail) takeAll(ctx context.Context, m jetstream.Msg, messages <-chan jetstream.Msg) (last bool, err error) {
	for {
		if last, err = t.take(ctx, m); err != nil {
			return false, err
		}
		if len(t.entries) < maxBatch && t.bytes < maxBytes {
			select {
			case m = <-messages:
				continue
			default:
			}
		}
		t.give(false)
		return last, nil
	}
}

// take handles a message, which is usually an entry. last reports whether the consumer
// has no more messages.
func (t *tail) take(ctx context.Context, m jetstream.Msg) (last bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return false, err
	}
	t.delivered++
	if meta.Sequence.Consumer != t.delivered {
		return false, errMissing
	}
	sequence := meta.Sequence.Stream
	switch {
	case !t.begun:
		t.begun, t.floor = true, max(t.floor, sequence-1)
	case sequence == t.start.read && !t.start.time.IsZero() && !t.start.time.Equal(meta.Timestamp):
		return false, t.renew(ctx)
	case sequence <= t.read.read:
		return meta.NumPending == 0, nil
	case sequence > max(t.read.read, t.floor)+1:
		return false, replica.ErrGap
	}
	t.read.read, t.read.time, t.advanced = sequence, meta.Timestamp, time.Now()
	if strings.HasPrefix(m.Subject(), t.prefix+".") {
		e, err := decode(t.prefix, m.Subject(), m.Headers(), m.Data())
		if err != nil {
			t.bad.Warn(t.logger, "skipped malformed stream message", fmt.Errorf("message %d: %w", sequence, err))
			return meta.NumPending == 0, nil
		}
		e.Offset, e.Time = sequence, meta.Timestamp
		t.entries = append(t.entries, e)
		t.bytes += len(m.Data())
	}
	return meta.NumPending == 0, nil
}

// give passes the collected entries to receive.
func (t *tail) give(inStep bool) {
	if len(t.entries) == 0 && !inStep {
		return
	}
	batch := replica.Batch{Entries: t.entries, InStep: inStep}
	if !t.given && t.start.entry == 0 {
		batch.Floor = t.floor
		t.read.entry = t.floor
	}
	if n := len(t.entries); n > 0 {
		t.read.entry = max(t.read.entry, t.entries[n-1].Offset)
	}
	t.given, t.entries, t.bytes = true, nil, 0
	t.receive(batch)
	t.mu.Lock()
	t.mark = t.read
	t.mu.Unlock()
}

// causeOf returns why the context ended, or err if it has not ended.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
