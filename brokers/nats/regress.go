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

// A stream can lose its last messages: if its server loses power before the file is
// written, is restarted with a stream in memory, or if an older copy is restored. It then
// reuses the lost sequence numbers, while its time of creation stays the same. So that
// old positions are not mistaken for new ones, parker stores a new epoch in the stream's
// metadata, where all processes see it.

// epochField is the key of the epoch in the stream's metadata.
const epochField = "parker-epoch"

// lostPatience is how long the leader of a stream may have fewer messages than were read.
// A new leader may not have all of them yet.
const lostPatience = 5 * time.Second

var (
	errShort   = errors.New("the stream ends before the last message that was read")
	errLostEnd = errors.New("the stream has lost messages that were read")
)

// tooShort handles a stream that ends before the last message that was read. The epoch
// is renewed once that has lasted for lostPatience.
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

// longEnough notes that the stream does not end before the last message that was read.
func (t *tail) longEnough() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.short = time.Time{}
}

// renew gives the stream a new epoch. It always returns an error, which says why.
func (t *tail) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	t.logger.Warn("stream lost messages, starting a new epoch", zap.String("stream", t.config.Name))
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
		return fmt.Errorf("%w, and its epoch cannot be changed: %w", errLostEnd, causeOf(ctx, err))
	}
	return errLostEnd
}
