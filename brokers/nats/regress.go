package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// A stream can lose its end: its server lost power before the file was written, was
// restarted with a stream in memory, or an older copy was restored. It gives the
// sequences of what it has lost to other messages, and it is still said to have been
// made when it was. So that no position is taken for one in the new count, the stream
// gets another epoch, for all processes: in its metadata.

// epochField is the key there.
const epochField = "parker-epoch"

// lostPatience is how long the leader of a stream may have less of it than was read.
// One that is new may not have all yet.
const lostPatience = 5 * time.Second

var (
	errShort   = errors.New("the stream ends before what was read of it")
	errLostEnd = errors.New("the stream has lost messages that were read of it")
)

// tooShort is for a stream that ends before what was read of it.
func (t *tail) tooShort(ctx context.Context) error {
	t.mu.Lock()
	if t.short.IsZero() {
		t.short = time.Now()
	}
	lost := time.Since(t.short) > lostPatience
	t.mu.Unlock()
	if !lost {
		return errShort
	}
	return t.renew(ctx)
}

// longEnough is for one that does not.
func (t *tail) longEnough() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.short = time.Time{}
}

// renew gives the stream another epoch. The error says why.
func (t *tail) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	t.logger.Warn("the NATS stream has lost messages; positions begin anew", zap.String("stream", t.config.Name))
	info, err := t.look(ctx, t.link)
	if err == nil {
		config := info.Config
		config.Metadata = maps.Clone(config.Metadata)
		if config.Metadata == nil {
			config.Metadata = make(map[string]string)
		}
		config.Metadata[epochField] = strconv.FormatInt(time.Now().UnixNano(), 36)
		_, err = t.link.js.UpdateStream(ctx, config)
	}
	if err != nil {
		return fmt.Errorf("%w, and cannot be marked: %w", errLostEnd, causeOf(ctx, err))
	}
	return errLostEnd
}
