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

// log is a stream, as the log of a replica. Offsets are the stream's own sequence.
type log struct {
	*connection
	config jetstream.StreamConfig // of the stream, where there is none yet
	prefix string                 // of its subjects
	logger *zap.Logger
	bad    logging.Rarely // of messages
	unfit  logging.Rarely // of the stream

	mu      sync.Mutex // guards all below
	epoch   string     // as Epoch named it last
	batches bool       // the stream takes batches
	mark    mark
	short   time.Time // since when the stream has been found to end before the mark, or zero
}

// mark is how far the stream has been read.
type mark struct {
	entry uint64    // the offset of the last entry there
	read  uint64    // the sequence of the last message there
	time  time.Time // of that message
}

// answerPatience is how long a server has to answer, where the caller leaves it more.
const answerPatience = 5 * time.Second

var (
	errNoAnswer    = errors.New("the NATS server does not answer")
	errNoJetStream = errors.New("JetStream is not there, or not enabled for the account")
	errOther       = errors.New("the stream is another one")
	errElsewhere   = errors.New("another stream took the entry")
)

// newLog begins to connect, and does not wait.
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
			l.unfit.Warn(l.logger, "the stream of the NATS server is not one for parker", err)
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

// look asks how the stream is.
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

// create makes the stream, unless another process has done so meanwhile.
func (l *log) create(ctx context.Context, link *link) (*jetstream.StreamInfo, error) {
	stream, err := link.js.CreateStream(ctx, l.config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return l.look(ctx, link)
	}
	if err != nil {
		return nil, fmt.Errorf("making it: %w", err)
	}
	return stream.CachedInfo(), nil
}

// check tells why a stream that parker has not made does not keep all that is
// published, in order, for all to read.
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
		return errors.New("it does not acknowledge")
	}
	return nil
}

// epochOf names a stream: by when it was made, and when it was last found to have
// lost messages at its end, whose sequences it gives to others.
func epochOf(info *jetstream.StreamInfo) string {
	return strconv.FormatInt(info.Created.UnixNano(), 36) + info.Config.Metadata[epochField]
}

// Append implements [replica.Log]. The server may refuse one entry and take the next,
// when its leader changes for instance. So none is sent before the one in front of it
// was taken, but where the server takes none behind one that it did not take.
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
			// Alone each says what is the matter.
		}
		for _, m := range messages {
			if err := l.publish(ctx, link, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// publish adds a message.
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

// refusal tells whether the server will never take the message.
func refusal(m *nats.Msg, err error) error {
	tooLarge := errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
	if tooLarge {
		return fmt.Errorf("%w: a message of %d bytes: %w", replica.ErrRefused, len(m.Data), err)
	}
	return fmt.Errorf("publishing: %w", err)
}
