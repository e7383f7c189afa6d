package hub

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/memory"
	"github.com/caddy-parker/parker/internal/parking"
)

// Process is the state that outlives a configuration: the lot with the parked requests,
// and what is counted for limits.
type Process struct {
	Lot    *lot.Lot
	Broker Broker
	Limits parking.Limits

	// Memories is what parker remembers to have given to clients.
	Memories memory.Store

	// Stopping is canceled when the process is about to stop.
	Stopping context.Context
	stop     context.CancelFunc

	badChannel, failed logging.Rarely
}

func newProcess() *Process {
	p := &Process{Lot: lot.New()}
	p.Stopping, p.stop = context.WithCancel(context.Background())
	return p
}

// pool keeps the Process while any configuration uses it.
var pool = caddy.NewUsagePool()

const poolKey = "process"

// join returns the Process for a new configuration, which must call leave when it ends.
// first is true if no other configuration uses the Process.
func join() (p *Process, first bool) {
	process, loaded := pool.LoadOrStore(poolKey, newProcess())
	return process.(*Process), !loaded
}

// leave must be called when a configuration that has joined ends.
func (p *Process) leave() error {
	_, err := pool.Delete(poolKey)
	return err
}

// Destruct releases all parked requests. It is called when the last configuration with
// parker has ended.
func (p *Process) Destruct() error {
	current.Store(nil)
	p.release()
	return nil
}

// release releases all parked requests and ends all streams.
func (p *Process) release() {
	p.Lot.Stop()
	p.stop()
}

// Interface guard
var _ caddy.Destructor = (*Process)(nil)
