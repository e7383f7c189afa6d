package storm

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/memory"
)

// The steps of a request and of a publish. Handlers in the route and a broker around the
// memory broker run a function of the test at each step, on the goroutine of the step.
const (
	stepArrives   = "the request arrives"
	stepNotes     = "it is registered, and the position is noted"
	stepNoted     = "the position has been noted"
	stepAsks      = "the backend is asked"
	stepAnswered  = "the backend has answered"
	stepReads     = "the history is read"
	stepRead      = "the history has been read"
	stepWritten   = "the backend has answered a write"
	stepDelivers  = "an event is in the history, and is delivered"
	stepDelivered = "an event has been delivered"
)

var onStep atomic.Pointer[func(step string)]

// atEachStep calls f at each step until the test ends.
func atEachStep(t *testing.T, f func(step string)) {
	onStep.Store(&f)
	t.Cleanup(func() { onStep.Store(nil) })
}

func taken(step string) {
	if f := onStep.Load(); f != nil && step != "" {
		(*f)(step)
	}
}

func init() {
	caddy.RegisterModule(new(stepper))
	caddy.RegisterModule(new(stepped))
	httpcaddyfile.RegisterHandlerDirective("step", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		arguments := h.RemainingArgs()
		return &stepper{Before: arguments[0], After: arguments[1]}, nil
	})
}

// stepper is a handler that takes a step before and after the next handler.
type stepper struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

func (*stepper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.step", New: func() caddy.Module { return new(stepper) }}
}

func (s *stepper) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	taken(s.Before)
	defer taken(s.After)
	return next.ServeHTTP(w, r)
}

// stepped is the memory broker with a step around each of its methods.
type stepped struct{ memory.Broker }

func (*stepped) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "parker.brokers.stepped", New: func() caddy.Module { return new(stepped) }}
}

func (*stepped) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (s *stepped) Start(history brokers.History, receive brokers.Receive) {
	s.Broker.Start(history, func(e brokers.Event) (int, func()) {
		taken(stepDelivers)
		defer taken(stepDelivered)
		return receive(e)
	})
}

func (s *stepped) Position() brokers.Position {
	taken(stepNotes)
	defer taken(stepNoted)
	return s.Broker.Position()
}

func (s *stepped) Events(ctx context.Context, channels []string, after brokers.Position, limit int) ([]brokers.Event, bool, error) {
	taken(stepReads)
	defer taken(stepRead)
	return s.Broker.Events(ctx, channels, after, limit)
}
