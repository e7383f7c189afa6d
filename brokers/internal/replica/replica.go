// Package replica is a broker for several processes. Each process holds a copy of a
// server's log, so reading is as fast as with the memory broker and works while the
// server is unreachable. [Log] is what a server must provide.
//
// A publication is appended to the log and becomes an event when it is read back. So all
// processes see all events in one order, and every event is known to be in the log.
// While the server is unreachable, a publication is accepted: it wakes the waiting
// requests of this process and stays in the outbox until it can be appended.
package replica

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/delivery"
	"github.com/caddy-parker/parker/internal/logging"
)

// Source identifies the log that a broker copies, and opens it.
type Source struct {
	// Name identifies the log, for example by servers and prefix. It contains no
	// secrets. The copy of a log outlives a configuration: the next configuration with
	// the same name continues it.
	Name string

	// Settings is everything else that a connection depends on. If a new configuration
	// has other settings, the broker reconnects.
	Settings string

	// Open creates a client. It does not wait for the server.
	Open func() (Log, error)
}

// Broker is one configuration's handle on the copy of a log. It implements
// [brokers.Broker].
type Broker struct {
	*replica
	source Source
	logger *zap.Logger
}

// replica is the copy of a log. It outlives a configuration.
type replica struct {
	node     string // this process's name in the log
	delivery delivery.Queue
	end      context.CancelFunc // nil before the first Start
	ended    chan struct{}
	inStep   chan struct{} // closed when the copy is complete for the first time
	refused  logging.Rarely

	mu        sync.Mutex // guards all below; not held while an event is delivered
	source    Source
	logger    *zap.Logger
	limits    brokers.History
	passOn    brokers.Publish // see [brokers.Accepting]
	copy      *logCopy
	past      []string // the epochs of the last earlier copies
	outbox    outbox
	reachable bool
	over      bool          // no configuration uses the replica any more
	heard     time.Time     // when anything was last read
	returned  time.Time     // when an entry of this process was last read
	confirmed time.Time     // when the copy was last known to be complete
	progress  chan struct{} // closed and replaced when the copy changes
	waits     int           // readers that wait for progress
	reconnect context.CancelCauseFunc
	disrupt   context.CancelCauseFunc // ends the session
}

var pool = caddy.NewUsagePool()

// Join returns the broker for a new configuration. The configuration must call
// [Broker.Leave] when it ends.
func Join(source Source, logger *zap.Logger) *Broker {
	shared, _ := pool.LoadOrStore(source.Name, newReplica())
	return &Broker{replica: shared.(*replica), source: source, logger: logger}
}

// Leave releases the copy when a configuration has ended.
func (b *Broker) Leave() error {
	_, err := pool.Delete(b.source.Name)
	return err
}

func newReplica() *replica {
	r := &replica{
		node:      rand.Text()[:13],
		ended:     make(chan struct{}),
		inStep:    make(chan struct{}),
		progress:  make(chan struct{}),
		confirmed: time.Now(),
		passOn: func(context.Context, brokers.Publication) (brokers.Published, error) {
			return brokers.Published{}, brokers.ErrEnded
		},
	}
	// Until the log is known, positions have an epoch of their own.
	r.outbox.filled, r.outbox.wakeUps = make(chan struct{}, 1), make(map[string]*own)
	r.copy = r.newCopy(rand.Text()[:10])
	return r
}

// firstPatience is how long a starting process waits for the log.
const firstPatience = 2 * time.Second

// Start implements [brokers.Broker]. The first call waits for the log for at most
// firstPatience. If the server is unreachable, the process starts without it.
func (b *Broker) Start(limits brokers.History, receive brokers.Receive) {
	b.delivery.Receive(receive)
	b.mu.Lock()
	settings := b.replica.source.Settings
	b.limits, b.replica.source, b.replica.logger = limits, b.source, b.logger
	b.copy.history.Limit(limits)
	first := b.end == nil
	if first {
		var ctx context.Context
		ctx, b.end = context.WithCancel(context.Background())
		go b.run(ctx)
	} else if settings != b.source.Settings && b.reconnect != nil {
		b.reconnect(errReconfigured)
	}
	b.mu.Unlock()
	if !first {
		return
	}
	select {
	case <-b.inStep:
	case <-time.After(firstPatience):
	}
}

// Health implements [brokers.Broker].
func (r *replica) Health() brokers.Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return brokers.Health{
		Reachable:    r.reachable,
		Lag:          time.Since(r.confirmed),
		Waiting:      len(r.outbox.entries),
		HistoryBytes: r.copy.history.Bytes(),
	}
}

// moved wakes the readers that wait for the copy to change. The caller holds mu.
func (r *replica) moved() {
	close(r.progress)
	r.progress = make(chan struct{})
}

// Interface guards
var (
	_ brokers.Broker    = (*Broker)(nil)
	_ brokers.Accepting = (*Broker)(nil)
	_ caddy.Destructor  = (*replica)(nil)
)
