package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/logging"
)

// layout describes what parker stores in Redis.
type layout struct {
	prefix string
	events int           // how many events the stream keeps
	age    time.Duration // how long the stream keeps them
}

func (l layout) epochKey() string { return l.prefix + ":epoch" }

func (l layout) stream() string { return l.prefix + ":events:0" }

// log is a [replica.Log] in Redis.
type log struct {
	target
	logger *zap.Logger

	epoch      atomic.Pointer[string] // the last result of Epoch
	bad        logging.Rarely         // for malformed entries
	connecting singleflight.Group

	mu      sync.Mutex // guards all below
	client  rueidis.Client
	closed  bool
	trimmed time.Time
}

func newLog(t target, logger *zap.Logger) *log {
	return &log{target: t, logger: logger}
}

// Append implements [replica.Log]. Unless the connection is lost, it adds all entries or
// none.
func (l *log) Append(ctx context.Context, entries []replica.Entry) error {
	for _, e := range entries {
		if e.Message != nil && len(e.Message.Body) > maxBody {
			return fmt.Errorf("%w: %w", replica.ErrRefused, errTooLarge)
		}
	}
	ctx, cancel := attentive(ctx)
	defer cancel()
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	if len(entries) == 1 {
		return why(ctx, client.Do(ctx, l.add(client.B(), entries[0])).Error())
	}
	commands := make([]rueidis.Completed, 0, len(entries)+2)
	commands = append(commands, client.B().Multi().Build())
	for _, e := range entries {
		commands = append(commands, l.add(client.B(), e))
	}
	commands = append(commands, client.B().Exec().Build())
	answers := client.DoMulti(ctx, commands...)
	if err := firstError(answers); err != nil {
		return why(ctx, err)
	}
	added, err := answers[len(answers)-1].ToArray()
	for i := 0; err == nil && i < len(added); i++ {
		err = added[i].Error()
	}
	return err
}

// add returns the command that adds an entry.
func (l *log) add(build rueidis.Builder, e replica.Entry) rueidis.Completed {
	fields := encode(e)
	command := build.Xadd().Key(l.stream()).Maxlen().Almost().Threshold(strconv.Itoa(l.events)).Id("*").FieldValue()
	for i := 0; i < len(fields); i += 2 {
		command = command.FieldValue(fields[i], fields[i+1])
	}
	return command.Build()
}

// Listen implements [replica.Listener] for messages that are sent with PUBLISH to a
// channel with the prefix.
func (l *log) Listen(ctx context.Context, receive func(replica.Entry)) error {
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	connection, _ := client.Dedicate()
	defer leave(connection)
	prefix := l.prefix + ":"
	pattern := literal.Replace(prefix) + "*"
	err = connection.Receive(ctx, connection.B().Psubscribe().Pattern(pattern).Build(), func(m rueidis.PubSubMessage) {
		e := replica.Entry{Channel: strings.TrimPrefix(m.Channel, prefix)}
		err := brokers.CheckChannel(e.Channel)
		if err == nil {
			e.Message, err = decodeMessage(m.Message, "", "")
		}
		if err != nil {
			l.bad.Warn(l.logger, "skipped malformed Pub/Sub message", err)
			return
		}
		receive(e)
	})
	if err == nil {
		err = errors.New("the server ended the subscription")
	}
	return why(ctx, err)
}

// literal escapes the characters that have a meaning in a pattern.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Interface guards
var (
	_ replica.Log      = (*log)(nil)
	_ replica.Listener = (*log)(nil)
)
