package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-parker/parker/brokers"
)

// send appends the entries of the outbox in order. It starts once the copy is complete,
// because entries that are already in the log have left the outbox by then.
func (s *session) send(ctx context.Context) error {
	select {
	case <-s.stepping:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	s.outbox.fill()
	s.mu.Unlock()
	alone := false
	for {
		select {
		case <-s.outbox.filled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for {
			s.mu.Lock()
			batch := s.outbox.batch(alone)
			s.mu.Unlock()
			if len(batch) == 0 {
				break
			}
			err := s.append(ctx, batch)
			switch {
			case err == nil:
				s.mu.Lock()
				s.answers()
				s.mu.Unlock()
				alone = false
			case !errors.Is(err, ErrRefused):
				return err
			case alone:
				s.refuse(batch[0], err)
				alone = false
			default:
				s.unsend(batch)
				alone = true
			}
		}
	}
}

// append adds a batch to the log.
func (s *session) append(ctx context.Context, batch []*own) error {
	ctx, cancel := context.WithTimeoutCause(ctx, appendPatience, errSilent)
	defer cancel()
	entries := make([]Entry, len(batch))
	for i, e := range batch {
		entries[i] = e.Entry
	}
	return s.log.Append(ctx, entries)
}

// unsend marks a batch to be sent again.
func (s *session) unsend(batch []*own) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range batch {
		e.sent = false
	}
}

// refuse removes an entry that the server refused and reports the error to its
// publisher.
func (s *session) refuse(e *own, err error) {
	s.mu.Lock()
	s.answers()
	s.outbox.take(e.Number)
	e.finish(brokers.Published{}, nil, err)
	logger := s.logger
	s.mu.Unlock()
	s.refused.Warn(logger, "broker refused event", fmt.Errorf("on %q: %w", e.Channel, err))
}
