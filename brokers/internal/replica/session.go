package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/delivery"
)

// Time limits for the server, and the range of pauses between attempts.
const (
	epochPatience  = 3 * time.Second
	appendPatience = 5 * time.Second
	readPatience   = 5 * time.Second // between two batches
	firstBackoff   = 50 * time.Millisecond
	lastBackoff    = 2 * time.Second
)

var (
	errReconfigured = errors.New("the configuration has changed")
	errSilent       = errors.New("the server does not answer")
)

// run keeps the copy up to date until the context ends.
func (r *replica) run(ctx context.Context) {
	defer close(r.ended)
	failures := 0
	for ctx.Err() == nil {
		connected, cancel := context.WithCancelCause(ctx)
		r.mu.Lock()
		source := r.source
		r.reconnect = cancel
		r.mu.Unlock()
		if log, err := source.Open(); err != nil {
			r.failed(err, &failures)
			pause(connected, failures)
		} else {
			r.sessions(connected, log, &failures)
			log.Close()
		}
		cancel(nil)
	}
}

// sessions runs one session after another until the context ends.
func (r *replica) sessions(ctx context.Context, log Log, failures *int) {
	gap := false
	for ctx.Err() == nil {
		again := gap
		err := r.session(ctx, log, gap, failures)
		gap = errors.Is(err, ErrGap)
		if ctx.Err() == nil {
			r.failed(err, failures)
		}
		r.unreachable(err)
		if !gap || again {
			pause(ctx, *failures)
		}
	}
}

// failed logs that a session failed: as a warning for the first of consecutive failures,
// for debugging after that.
func (r *replica) failed(err error, failures *int) {
	r.mu.Lock()
	logger, waiting := r.logger, len(r.outbox.entries)
	r.mu.Unlock()
	*failures++
	if errors.Is(err, ErrGap) {
		logger.Warn("broker dropped unread events, releasing all waiting requests")
	} else if *failures == 1 {
		logger.Warn("broker unreachable, queueing events", zap.Int("waiting", waiting), zap.Error(err))
	} else {
		logger.Debug("broker still unreachable", zap.Int("waiting", waiting), zap.Error(err))
	}
}

// pause waits, exponentially longer with each failure and with random jitter.
func pause(ctx context.Context, failures int) {
	d := min(firstBackoff<<min(failures, 10), lastBackoff)
	select {
	case <-time.After(d - rand.N(d/2)):
	case <-ctx.Done():
	}
}

// session reads the log once, from where the last session stopped, until reading fails.
type session struct {
	*replica
	log      Log
	copy     *logCopy      // a new copy replaces the replica's once it is complete
	begun    bool          // the copy is complete
	stepping chan struct{} // closed when begun becomes true
	answered bool          // the server accepts what is published here
	failures *int
}

// session runs one session and returns why it ended. After a gap the log is read from
// its beginning.
func (r *replica) session(ctx context.Context, log Log, gap bool, failures *int) error {
	epoch, err := epochOf(ctx, log)
	if err != nil {
		return err
	}
	ctx, disrupt := context.WithCancelCause(ctx)
	defer disrupt(nil)
	s := &session{replica: r, log: log, stepping: make(chan struct{}), failures: failures}

	r.mu.Lock()
	s.copy = r.copy
	if gap || epoch != s.copy.epoch {
		s.copy = r.newCopy(epoch)
	}
	after := s.copy.offset
	r.heard = time.Now()
	for _, e := range r.outbox.entries {
		e.sent = false
	}
	r.disrupt = disrupt
	r.mu.Unlock()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := log.Tail(ctx, after, s.receive); ctx.Err() == nil {
			return fmt.Errorf("reading: %w", err)
		}
		return context.Cause(ctx)
	})
	if listener, ok := log.(Listener); ok {
		group.Go(func() error { return listener.Listen(ctx, s.hear) })
	}
	group.Go(func() error { return s.send(ctx) })
	group.Go(func() error { return s.watch(ctx) })
	err = group.Wait()
	if s.copy != r.current() {
		s.copy.history.Forget(0)
	}
	return err
}

func epochOf(ctx context.Context, log Log) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, epochPatience)
	defer cancel()
	return log.Epoch(ctx)
}

func (r *replica) current() *logCopy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copy
}

// receive handles a batch. While the copy is not the replica's yet, its events are
// remembered but not delivered.
func (s *session) receive(batch Batch) {
	s.mu.Lock()
	s.heard = time.Now()
	if s.copy.takeFloor(batch.Floor) && s.copy == s.replica.copy {
		// The log was empty when last read, and has dropped entries since then.
		s.delivery.Add(brokers.Event{Position: s.copy.position()})
	}
	for _, e := range batch.Entries {
		if !s.begun {
			e.Lifetime = s.lifetimeLeft(e)
		}
		came, what := s.copy.take(e)
		if s.copy == s.replica.copy {
			s.settle(e, came, what)
		}
	}
	if batch.InStep {
		s.step()
	}
	s.moved()
	s.mu.Unlock()
	s.delivery.Run()
}

// settle delivers an event and reports the outcome to its publisher, if that is in this
// process. The caller holds mu.
func (r *replica) settle(e Entry, came brokers.Event, what taken) {
	var arriving *delivery.Delivery
	if what == event {
		arriving = r.delivery.Add(came)
	}
	if e.Node != r.node {
		return
	}
	r.returned = time.Now()
	if mine := r.outbox.take(e.Number); mine != nil {
		mine.finish(brokers.Published{Position: came.Position, Duplicate: what == duplicate}, arriving, nil)
	}
}

// step notes that the end of the log was reached, so the copy is complete. The caller
// holds mu.
func (s *session) step() {
	s.confirmed = time.Now()
	s.copy.confirmed++
	if s.begun {
		return
	}
	s.begun = true
	if s.copy != s.replica.copy {
		s.replace()
	}
	close(s.stepping)
	select {
	case <-s.replica.inStep:
	default:
		close(s.replica.inStep)
	}
	if len(s.outbox.entries) == 0 {
		s.answers()
	}
}

// answers marks the server as reachable. If the outbox has entries, it is called only
// once the server has accepted the first of them, as some servers can only be read. The
// caller holds mu.
func (s *session) answers() {
	if s.answered {
		return
	}
	s.answered, s.reachable = true, true
	if *s.failures > 0 {
		s.logger.Info("broker reachable again", zap.Int("waiting", len(s.outbox.entries)))
	}
	*s.failures = 0
}

// maxPast is how many earlier epochs are remembered.
const maxPast = 16

// replace makes the session's copy the replica's. It is unknown which events were missed
// between the two copies, so all waiting requests are told of a loss. The caller holds
// mu.
func (s *session) replace() {
	s.replica.copy.history.Forget(0)
	s.past = append(s.past[max(0, len(s.past)-maxPast):], s.replica.copy.epoch)
	s.replica.copy = s.copy
	for _, e := range slices.Clone(s.outbox.entries) {
		if n := s.copy.seen[s.node]; n != nil && n.has(e.Number) {
			s.outbox.take(e.Number)
			e.finish(brokers.Published{Position: s.copy.position()}, nil, nil)
		}
	}
	s.delivery.Add(brokers.Event{Position: s.copy.position()})
}

// hear delivers an entry that an application published without the log.
func (s *session) hear(e Entry) {
	s.mu.Lock()
	s.delivery.Add(brokers.Event{
		Channel:   e.Channel,
		Position:  s.replica.copy.position(),
		Uncounted: true,
		Message:   e.Message,
	})
	s.mu.Unlock()
	s.delivery.Run()
}

// watch returns an error when no batch has arrived for readPatience.
func (s *session) watch(ctx context.Context) error {
	ticker := time.NewTicker(readPatience / 5)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		silent := time.Since(s.heard) > readPatience
		s.mu.Unlock()
		if silent {
			return errSilent
		}
	}
}
