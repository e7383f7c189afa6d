package hub

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/limit"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/poll"
)

// Process is what outlives a configuration: the lot and those who are in it. A
// reload changes how requests are parked, not which are.
type Process struct {
	Lot         *lot.Lot
	Broker      Broker
	Clients     limit.Counter
	Spread      limit.Spread // over channels, of each client
	NewestPolls poll.Newest
	Browsers    poll.Browsers
	Memory      poll.Memory // of what is parked

	// Stopping is over when the process is about to stop.
	Stopping context.Context
	stop     context.CancelFunc

	badChannel, failed logging.Rarely
}

func newProcess() *Process {
	p := &Process{Lot: lot.New()}
	p.Stopping, p.stop = context.WithCancel(context.Background())
	return p
}

// pool keeps the process's one Process while any configuration uses it.
var pool = caddy.NewUsagePool()

const poolKey = "process"

// join is for a configuration that begins; leave must follow. It tells whether that
// is the only one.
func join() (p *Process, first bool) {
	process, loaded := pool.LoadOrStore(poolKey, newProcess())
	return process.(*Process), !loaded
}

// leave is for a configuration that has ended.
func (p *Process) leave() error {
	_, err := pool.Delete(poolKey)
	return err
}

// Destruct releases what is still parked when the last configuration with parker
// in it is gone.
func (p *Process) Destruct() error {
	current.Store(nil)
	p.release()
	return nil
}

// release ends all that is parked.
func (p *Process) release() {
	p.Lot.Stop()
	p.stop()
}

// Interface guard
var _ caddy.Destructor = (*Process)(nil)
