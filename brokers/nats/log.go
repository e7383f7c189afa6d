package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/logging"
)

// log implements [replica.Log] with a stream. Offsets are the stream's sequence numbers.
type log struct {
	*connection
	config jetstream.StreamConfig // used to create the stream
	prefix string                 // of its subjects
	logger *zap.Logger
	bad    logging.Rarely // for malformed messages
	unfit  logging.Rarely // for an unusable stream

	mu      sync.Mutex // guards all below
	epoch   string     // the last result of Epoch
	batches bool       // the stream accepts batches
	mark    mark
	short   time.Time // since when the stream has ended before the mark, or zero
}

// mark is how far the stream has been read.
type mark struct {
	entry uint64    // the offset of the last entry
	read  uint64    // the sequence number of the last message
	time  time.Time // the time of that message
}

// answerPatience limits how long a server may take to answer.
const answerPatience = 5 * time.Second

var (
	errNoAnswer    = errors.New("the NATS server does not answer")
	errNoJetStream = errors.New("JetStream is not available, or not enabled for the account")
	errOther       = errors.New("the stream was replaced")
	errElsewhere   = errors.New("another stream stored the entry")
)

// newLog starts to connect and does not wait.
func newLog(t target, logger *zap.Logger) *log {
	return &log{connection: connect(t.options, logger), config: t.stream, prefix: t.prefix, logger: logger}
}

// Close implements [replica.Log].
func (l *log) Close() { l.connection.close() }

// Epoch implements [replica.Log].
func (l *log) Epoch(ctx context.Context) (epoch string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	err = l.with(ctx, func(link *link) error {
		info, err := l.look(ctx, link)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			info, err = l.create(ctx, link)
		}
		if errors.Is(err, nats.ErrNoResponders) {
			err = errNoJetStream
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", l.config.Name, err)
		}
		if err := l.check(info.Config); err != nil {
			err = fmt.Errorf("stream %s cannot be used: %w", l.config.Name, err)
			l.unfit.Warn(l.logger, "unusable stream", err)
			return err
		}
		epoch = epochOf(info)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.epoch != epoch {
			l.epoch, l.mark, l.short = epoch, mark{}, time.Time{}
		}
		l.batches = info.Config.AllowBatchPublish
		return nil
	})
	return epoch, err
}

// look returns information about the stream.
func (l *log) look(ctx context.Context, link *link, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	stream, err := link.js.Stream(ctx, l.config.Name)
	if err != nil {
		return nil, err
	}
	if len(options) == 0 {
		return stream.CachedInfo(), nil
	}
	return stream.Info(ctx, options...)
}

// create creates the stream, unless another process has done so meanwhile.
func (l *log) create(ctx context.Context, link *link) (*jetstream.StreamInfo, error) {
	stream, err := link.js.CreateStream(ctx, l.config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return l.look(ctx, link)
	}
	if err != nil {
		return nil, fmt.Errorf("creating it: %w", err)
	}
	return stream.CachedInfo(), nil
}

// check returns an error if the stream, which parker may not have created, does not
// accept and keep all events in order for all processes.
func (l *log) check(config jetstream.StreamConfig) error {
	covered := false
	for _, subject := range config.Subjects {
		covered = covered || covers(subject, l.prefix)
	}
	switch {
	case config.Mirror != nil, config.Sealed:
		return errors.New("nothing can be published to it")
	case !covered:
		return fmt.Errorf("its subjects (%s) do not cover %s.*", strings.Join(config.Subjects, ", "), l.prefix)
	case config.SubjectTransform != nil:
		return errors.New("it changes subjects")
	case config.Retention != jetstream.LimitsPolicy:
		return errors.New("its retention policy is not limits")
	case config.Discard != jetstream.DiscardOld:
		return errors.New("its discard policy is not old")
	case config.NoAck:
		return errors.New("it does not acknowledge messages")
	}
	return nil
}

// epochOf returns the epoch of a stream. It is made of the time when the stream was
// created and the time when it was last found to have lost its end, because the stream
// then reuses sequence numbers.
func epochOf(info *jetstream.StreamInfo) string {
	return strconv.FormatInt(info.Created.UnixNano(), 36) + info.Config.Metadata[epochField]
}

// Append implements [replica.Log]. The server may refuse one entry and accept the next,
// for example when its leader changes. In a batch it accepts none after the one that it
// refused. Without batches, each entry is sent only after the one before it was accepted.
func (l *log) Append(ctx context.Context, entries []replica.Entry) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	messages := make([]*nats.Msg, len(entries))
	for i, e := range entries {
		messages[i] = encode(l.prefix, e)
	}
	l.mu.Lock()
	together := l.batches && len(messages) >= leastTogether
	l.mu.Unlock()
	return l.with(ctx, func(link *link) error {
		if together {
			err := l.publishTogether(ctx, link, messages)
			if _, refused := errors.AsType[*jetstream.APIError](err); !refused {
				return err
			}
			// The answers to single messages show which one is refused, and why.
		}
		for _, m := range messages {
			if err := l.publish(ctx, link, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// publish adds a message and waits for the answer.
func (l *log) publish(ctx context.Context, link *link, m *nats.Msg) error {
	ack, err := link.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	switch {
	case err != nil:
		return refusal(m, err)
	case ack.Stream != l.config.Name:
		return fmt.Errorf("%w: %s", errElsewhere, ack.Stream)
	}
	return nil
}

// refusal wraps the error of a publish. If the server will never accept the message, it
// wraps [replica.ErrRefused], too.
func refusal(m *nats.Msg, err error) error {
	tooLarge := errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
	if tooLarge {
		return fmt.Errorf("%w: a message of %d bytes: %w", replica.ErrRefused, len(m.Data), err)
	}
	return fmt.Errorf("publishing: %w", err)
}
