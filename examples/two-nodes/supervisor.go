package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-parker/parker/examples/internal/run"
)

// supervisor keeps services running like a service manager: a service that has ended is
// started again. The page reads their state from it and has it kill them.
type supervisor struct {
	services []*supervised
	began    time.Time
	ending   chan struct{} // closed by an interrupt
}

// supervised is a service with its current instance.
type supervised struct {
	service

	mu  sync.Mutex // guards now
	now instance   // the latest one
}

// pause is the time between the end of a service and its next start.
const pause = 5 * time.Second

// supervise starts services in order and keeps them running until an interrupt.
func supervise(services ...service) error {
	s := &supervisor{began: time.Now(), ending: make(chan struct{})}
	for _, service := range services {
		started := &supervised{service: service}
		if err := started.restart(); err != nil {
			return err
		}
		s.services = append(s.services, started)
	}
	for _, started := range s.services {
		go started.keep(s.ending)
	}
	s.endWithInterrupt()
	return s.serve()
}

// restart starts the service, which must not be running.
func (d *supervised) restart() error {
	started, err := d.start()
	if err != nil {
		if started.kill != nil {
			started.kill() // it runs, but is not ready
		}
		return fmt.Errorf("starting %s: %w", d.name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = started
	return nil
}

func (d *supervised) latest() instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// keep restarts the service whenever it has ended.
func (d *supervised) keep(ending <-chan struct{}) {
	for {
		<-d.latest().ended
		select {
		case <-ending:
			return
		case <-time.After(pause):
		}
		if err := d.restart(); err != nil {
			fmt.Fprintln(os.Stderr, "two-nodes:", err)
		}
	}
}

// endWithInterrupt has the nodes answer their waiting requests when this process is
// interrupted, and then ends it. The balancer then has no open requests to wait for.
func (s *supervisor) endWithInterrupt() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		close(s.ending)
		for _, started := range s.services {
			started.latest().stop()
		}
	}()
}

// serve answers the page's requests at a port that the balancer's Caddyfile uses.
func (s *supervisor) serve() error {
	port := run.Port{Variable: "NODES_SUPERVISOR_PORT", Default: "0"}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port.Number()))
	if err != nil {
		return err
	}
	_, chosen, _ := net.SplitHostPort(listener.Addr().String())
	os.Setenv(port.Variable, chosen)

	routes := http.NewServeMux()
	routes.HandleFunc("GET /processes", s.list)
	routes.HandleFunc("POST /processes/{name}/kill", s.kill)
	go http.Serve(listener, http.NewCrossOriginProtection().Handler(routes))
	return nil
}

// list answers with the state of the services, and with the time when the example was
// started, by which a page detects that it was started again.
func (s *supervisor) list(w http.ResponseWriter, _ *http.Request) {
	states := make([]state, len(s.services))
	var asked sync.WaitGroup
	for i, started := range s.services {
		asked.Go(func() {
			states[i] = started.ask()
			states[i].Name = started.name
		})
	}
	asked.Wait()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"began": s.began.UnixMilli(), "processes": states})
}

func (s *supervisor) kill(w http.ResponseWriter, r *http.Request) {
	for _, started := range s.services {
		if started.name == r.PathValue("name") {
			started.latest().kill()
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	http.NotFound(w, r)
}
