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

// tail is one time that the stream is read. One goroutine has all of it.
type tail struct {
	*log
	link    *link
	receive func(replica.Batch)
	epoch   string

	start     mark   // up to where the stream was read before; from its beginning, if zero
	read      mark   // up to where it has been read
	begun     bool   // it is known where what is kept begins
	floor     uint64 // up to where messages may be missing
	delivered uint64 // messages that the consumer has sent
	entries   []replica.Entry
	bytes     int  // of their messages
	given     bool // a batch was
	inStep    bool // there was nothing more, at some time
	advanced  time.Time
}

// view is how the stream was.
type view struct {
	info *jetstream.StreamInfo
	read uint64 // how far it had been read before it was looked at
	err  error
}

const (
	lookInterval = 500 * time.Millisecond // between two looks at the stream
	lookPatience = 2 * time.Second        // for the answer
	advance      = 3 * time.Second        // in which a message comes, if there are more
	heartbeat    = time.Second            // of the consumer, of which one may be missing
	idleConsumer = 10 * time.Second       // after which the server forgets a consumer
	pullMessages = 256                    // that may be on their way
	pullBytes    = 8 << 20                // likewise, but one whole message in any case
	maxBatch     = 256                    // entries that are given at a time
	maxBytes     = 4_000_000              // of their messages, but for the last
)

var (
	errStuck   = errors.New("the stream holds messages that do not come")
	errMissing = errors.New("messages were lost on their way from the server")
)

// Tail implements [replica.Log].
//
// A consumer sends what is in the stream. It may belong to a server that lags behind
// the stream's leader, so only the leader is believed that there is nothing more: it
// is asked now and then, which also shows that the stream is still the same.
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
			return fmt.Errorf("making a consumer: %w", err)
		}
		defer consuming.Stop()
		if err := t.judge(ctx, first); err != nil {
			return err
		}
		return t.follow(ctx, messages, failed)
	})
}

// startAfter is where to go on behind an offset: behind messages, too, that are no
// entries.
func (l *log) startAfter(offset uint64) (epoch string, start mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset > 0 && l.mark.entry == offset {
		return l.epoch, l.mark
	}
	return l.epoch, mark{entry: offset, read: offset}
}

// view looks at the stream.
func (l *log) view(ctx context.Context, link *link, read uint64) view {
	ctx, cancel := context.WithTimeoutCause(ctx, lookPatience, errNoAnswer)
	defer cancel()
	info, err := l.look(ctx, link)
	if err != nil {
		err = fmt.Errorf("looking at the stream: %w", causeOf(ctx, err))
	}
	return view{info, read, err}
}

// begin finds out whether all that is to be read is there.
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
		// Other limits than on all messages, or somebody by hand, have taken some out.
		info, err := t.look(ctx, t.link, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		t.floor = slices.Max(append(info.State.Deleted, 0))
	}
	return nil
}

// same tells whether the stream is the one that Epoch named.
func (t *tail) same(v view) error {
	switch {
	case v.err != nil:
		return v.err
	case epochOf(v.info) != t.epoch:
		return errOther
	}
	return nil
}

// consume has the server send all messages, from the last that was read: so it shows
// whether that is still the same.
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

// follow reads until the context ends, or reading fails.
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
			err = fmt.Errorf("the consumer fails: %w", err)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// judge says whether there is nothing more to be read.
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

// takeAll takes a message and those that have come behind it. It tells whether the
// consumer knew of no more.
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

// take takes a message, which is mostly an entry.
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
			t.bad.Warn(t.logger, "a message in the NATS stream is no event", fmt.Errorf("message %d: %w", sequence, err))
			return meta.NumPending == 0, nil
		}
		e.Offset, e.Time = sequence, meta.Timestamp
		t.entries = append(t.entries, e)
		t.bytes += len(m.Data())
	}
	return meta.NumPending == 0, nil
}

// give gives what has been taken.
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

// causeOf is why a context has ended, if it has, else the error.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
