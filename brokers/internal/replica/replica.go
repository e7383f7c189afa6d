// Package replica is a broker between processes: each has a copy of what a
// server's log holds, so that reading is as quick as with the memory broker and
// goes on while the server is away. What a server has to do for it is a [Log].
//
// A publish is appended to the log, and is an event when it comes back from there:
// so all processes have all events in one order, and what came back is known to be
// kept. While the server is away a publish is accepted: it wakes what waits in
// this process, and waits in the outbox for the server, to be an event then.
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

// Source says which log a broker has a copy of, and how to get at it.
type Source struct {
	// Name tells logs apart: servers, prefix and the like, no secrets. The copy of a
	// log outlives a configuration, and goes on in the next with the same name.
	Name string

	// Settings is all else that a connection depends on. Where a new configuration has
	// others than the one in force, the connections are made anew.
	Settings string

	// Open makes a client. It does not wait for the server.
	Open func() (Log, error)
}

// Broker is the copy of a log, as one configuration has it. It does all that
// [brokers.Broker] wants.
type Broker struct {
	*replica
	source Source
	logger *zap.Logger
}

// replica is the copy of a log. It outlives a configuration.
type replica struct {
	node     string // this process's name in the log
	delivery delivery.Queue
	end      context.CancelFunc // nil: it has not begun
	ended    chan struct{}
	inStep   chan struct{} // closed when the copy is one for the first time
	refused  logging.Rarely

	mu        sync.Mutex // guards all below; not held while an event is delivered
	source    Source
	logger    *zap.Logger
	limits    brokers.History
	copy      *logCopy
	past      []string // epochs of copies before, the last of them
	outbox    outbox
	reachable bool
	over      bool          // no configuration has it any more
	heard     time.Time     // when anything was last read
	returned  time.Time     // when an entry of this process was last read
	confirmed time.Time     // when the copy was last known to have all
	progress  chan struct{} // closed, and made anew, when the copy has got on
	waits     int           // readers that wait for that
	reconnect context.CancelCauseFunc
	disrupt   context.CancelCauseFunc // ends the session
}

var pool = caddy.NewUsagePool()

// Join is for a configuration that begins; [Broker.Leave] must follow.
func Join(source Source, logger *zap.Logger) *Broker {
	shared, _ := pool.LoadOrStore(source.Name, newReplica())
	return &Broker{replica: shared.(*replica), source: source, logger: logger}
}

// Leave is for a configuration that has ended.
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
	}
	// Until the log is known, what is published here has a count of its own.
	r.outbox.filled, r.outbox.wakeUps = make(chan struct{}, 1), make(map[string]*own)
	r.copy = r.newCopy(rand.Text()[:10])
	return r
}

// Destruct ends the copy when the last configuration with it is gone. What waits for the
// server then, nobody else will give to the requests here.
func (r *replica) Destruct() error {
	if r.end != nil {
		r.end()
		<-r.ended
	}
	defer r.delivery.Run()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, e := range r.outbox.entries {
		r.delivery.Add(r.early(e))
	}
	if waiting := len(r.outbox.entries); waiting > 0 && r.logger != nil {
		r.logger.Error("events that waited for the broker never reached it", zap.Int("events", waiting))
	}
	r.copy.history.Forget(0)
	return nil
}

// firstPatience is how long a process that starts waits for the log.
const firstPatience = 2 * time.Second

// Start implements [brokers.Broker]. The first waits for the log, but not long: if
// the server is away, the process starts without.
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

// moved lets those know who wait for the copy to get on. The caller holds mu.
func (r *replica) moved() {
	close(r.progress)
	r.progress = make(chan struct{})
}

// Interface guards
var (
	_ brokers.Broker   = (*Broker)(nil)
	_ caddy.Destructor = (*replica)(nil)
)
