package storm

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/memory"
)

// Delays are added to each step of a poll from outside: handlers in the route and a
// broker around the memory broker wait for a random time if their step is the slow one.
//
//	arrive   before the request is registered
//	ask      between the note of the position and the backend; so each replay too
//	park     between the backend's answer and the park
//	publish  between the backend's answer to a write and its publish
//	deliver  between a publish and its delivery to the lot
//	published  between the delivery and the writer's answer
var steps = []string{"arrive", "ask", "park", "publish", "deliver", "published"}

const longest = 100 * time.Millisecond

// slowStep is the step that is slow at the moment.
var slowStep atomic.Pointer[string]

func at(step string) {
	if *slowStep.Load() == step {
		<-time.After(rand.N(longest))
	}
}

func init() {
	caddy.RegisterModule(new(delay))
	caddy.RegisterModule(new(delayed))
	httpcaddyfile.RegisterHandlerDirective("delay", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		arguments := h.RemainingArgs()
		return &delay{Step: arguments[0], After: len(arguments) > 1}, nil
	})
}

// delay is a handler that may wait before or after the next one.
type delay struct {
	Step  string `json:"step"`
	After bool   `json:"after,omitempty"`
}

func (*delay) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.delay", New: func() caddy.Module { return new(delay) }}
}

func (d *delay) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if d.After {
		defer at(d.Step)
	} else {
		at(d.Step)
	}
	return next.ServeHTTP(w, r)
}

// delayed is the memory broker with a delay around each delivery.
type delayed struct{ memory.Broker }

func (*delayed) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "parker.brokers.delayed", New: func() caddy.Module { return new(delayed) }}
}

func (*delayed) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (d *delayed) Start(history brokers.History, receive brokers.Receive) {
	d.Broker.Start(history, func(e brokers.Event) (int, func()) {
		at("deliver")
		defer at("published")
		return receive(e)
	})
}
