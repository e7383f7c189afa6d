package replica

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
)

// PassOn implements [brokers.Accepting].
func (b *Broker) PassOn(publish brokers.Publish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passOn = publish
}

// Destruct ends the copy when the last configuration that used it is gone. What was
// accepted and is not in the log is passed on. If that takes long, it goes on in the
// background.
func (r *replica) Destruct() error {
	if r.end != nil {
		r.drain()
		r.end()
		<-r.ended
	}
	r.mu.Lock()
	left, publish, logger := r.outbox.entries, r.passOn, r.logger
	r.over, r.outbox.entries = true, nil
	r.copy.history.Forget(0)
	r.mu.Unlock()
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		pass(left, publish, logger)
	}()
	select {
	case <-passed:
	case <-time.After(patience):
	}
	return nil
}

// drain waits until everything published here is in the log. It gives up if the server
// is unreachable or slow.
func (r *replica) drain() {
	slow := time.After(patience)
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.reachable && len(r.outbox.entries) > 0 {
		progress := r.progress
		r.mu.Unlock()
		select {
		case <-progress:
			r.mu.Lock()
		case <-slow:
			r.mu.Lock()
			return
		}
	}
}

// pass publishes entries in order, and logs how many could not be published.
func pass(entries []*own, publish brokers.Publish, logger *zap.Logger) {
	lost, cause := 0, error(nil)
	for _, e := range entries {
		_, err := publish(context.Background(), brokers.Publication{Channel: e.Channel, Message: e.Message, ID: e.ID, Lifetime: e.Lifetime})
		if err != nil {
			lost, cause = lost+1, err
		}
	}
	if lost > 0 {
		logger.Error("broker closed, unsent events are lost", zap.Int("events", lost), zap.Error(cause))
	}
}
