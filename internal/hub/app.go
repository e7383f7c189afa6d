package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
	_ "github.com/caddy-parker/parker/brokers/memory"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/mistakes"
	"github.com/caddy-parker/parker/internal/option"
	"github.com/caddy-parker/parker/internal/sites"
)

// App is the state that all of parker's handlers share: the broker that carries
// events, the lot in which requests are parked, and its limits.
type App struct {
	// The broker that carries events and keeps their history. Default: `memory`,
	// which serves a single process.
	BrokerRaw json.RawMessage `json:"broker,omitempty" caddy:"namespace=parker.brokers inline_key=name"`

	// How many events are kept for clients that resume. Default: 100 messages per
	// channel, for 10 minutes, 100 MB in total.
	History *History `json:"history,omitempty"`

	// The maximum number of requests that this process parks. Requests beyond it are
	// not held. They get the backend's answer at once. Default: 100000.
	MaxParked int `json:"max_parked,omitempty"`

	// The maximum size of the parked requests in bytes. Their headers and bodies and
	// the answers that are kept for them count. Requests beyond it are not held.
	// Default: a quarter of the memory that Go may use (GOMEMLIMIT, which Caddy sets
	// from the memory of the container or the machine), or 1 GB if there is no such
	// limit.
	MaxParkedBytes int64 `json:"max_parked_bytes,omitempty"`

	// The maximum size of a message in bytes. Default: 1 MB.
	MaxMessage int64 `json:"max_message,omitempty"`

	// The maximum number of different channels on which the requests of one client
	// wait, because with placeholders clients can choose channels. Requests beyond it
	// are not held. A client is an IPv4 address, or the /64 network of an IPv6
	// address. Default: 1000.
	MaxChannelsPerClient int `json:"max_channels_per_client,omitempty"`

	hub           Hub
	configuration caddy.Context
}

// History limits the history of events.
type History struct {
	// The number of messages that are kept per channel. Of events without a message
	// only the last is kept. Default: 100.
	Events int `json:"events,omitempty"`

	// How long an event is kept, unless its publisher sets another time.
	// Default: 10m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// The maximum size of the history of all channels in memory, in bytes. When it is
	// reached, the oldest events are removed first. An event counts as the size of its
	// message plus a few hundred bytes. Default: 100 MB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "parker", New: func() caddy.Module { return new(App) }}
}

// Provision sets the defaults, joins the state of the process and loads the broker.
func (a *App) Provision(ctx caddy.Context) error {
	if a.MaxParked == 0 {
		a.MaxParked = 100_000
	}
	if a.MaxParkedBytes == 0 {
		a.MaxParkedBytes = defaultParkedBytes()
	}
	if a.MaxMessage == 0 {
		a.MaxMessage = 1_000_000
	}
	if a.MaxChannelsPerClient == 0 {
		a.MaxChannelsPerClient = 1000
	}
	a.History = a.History.orDefaults()
	if err := a.check(); err != nil {
		return err
	}
	process, first := join()
	a.configuration = ctx
	a.hub = Hub{
		Process:              process,
		MaxMessage:           a.MaxMessage,
		MaxChannelsPerClient: a.MaxChannelsPerClient,
		Hosts:                new(sites.Hosts),
		Meetings:             new(mistakes.Meetings),
		source:               metrics.Hook,
		logger:               ctx.Logger(),
		debug:                logging.Sampled(ctx.Logger()),
	}

	module, err := a.loadBroker(ctx)
	if err != nil {
		return fmt.Errorf("loading the broker: %w", err)
	}
	a.hub.own = module.(brokers.Broker)
	if first {
		a.putInForce() // requests may arrive before all apps have started
	}

	if err := metrics.Register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading the events app: %w", err)
	}
	app := events.(*caddyevents.App)
	return errors.Join(app.On("started", started{a}), app.On("stopping", stopping{a}))
}

// defaultParkedBytes returns a part of the memory that leaves enough for the stacks of
// parked requests, the history, and other handlers.
func defaultParkedBytes() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 4
	}
	return 1_000_000_000
}

// orDefaults returns a history in which each limit that is not given has its default.
func (h *History) orDefaults() *History {
	var given History
	if h != nil {
		given = *h
	}
	return &History{
		Events:   cmp.Or(given.Events, 100),
		MaxAge:   cmp.Or(given.MaxAge, caddy.Duration(10*time.Minute)),
		MaxBytes: cmp.Or(given.MaxBytes, 100_000_000),
	}
}

func (a *App) loadBroker(ctx caddy.Context) (any, error) {
	if a.BrokerRaw == nil {
		return ctx.LoadModuleByID("parker.brokers.memory", nil)
	}
	if err := checkRawBroker(a.BrokerRaw); err != nil {
		return nil, err
	}
	return ctx.LoadModule(a, "BrokerRaw")
}

// check returns an error for limits that make no sense.
func (a *App) check() error {
	switch {
	case a.MaxParked < 0:
		return fmt.Errorf("max_parked is %d: it must be positive", a.MaxParked)
	case a.MaxParkedBytes < 0:
		return fmt.Errorf("max_parked_bytes is %d: it must be positive", a.MaxParkedBytes)
	case a.MaxMessage < 0:
		return fmt.Errorf("max_message is %d: it must be positive", a.MaxMessage)
	case a.MaxChannelsPerClient < 0:
		return fmt.Errorf("max_channels_per_client is %d: it must be positive", a.MaxChannelsPerClient)
	case a.History.Events < 0 || a.History.MaxAge < 0 || a.History.MaxBytes < 0:
		return errors.New("history must not be negative")
	}
	return nil
}

// Start does nothing. The settings must not be put in force yet, because Caddy keeps
// the old configuration if another app fails to start.
func (*App) Start() error { return nil }

// started handles the event that all apps of a configuration have started. Only then
// are its settings put in force, because they could not be undone if an app failed.
type started struct{ app *App }

// Handle implements [caddyevents.Handler].
func (s started) Handle(context.Context, caddy.Event) error {
	s.app.putInForce()
	s.app.warnOfMistakes()
	return nil
}

// warnOfMistakes logs warnings about mistakes that can only be found in a complete
// configuration. It does nothing unless the broker is memory: with another broker,
// requests may wait at other processes.
func (a *App) warnOfMistakes() {
	if a.hub.brokerName() != "memory" {
		return
	}
	if app, err := a.configuration.AppIfConfigured("http"); err == nil {
		a.hub.Meetings.Warn(app.(*caddyhttp.App), a.hub.logger)
	}
}

// stopping handles the event that a configuration is about to stop, either because the
// process stops or because of a reload.
type stopping struct{ app *App }

// Handle implements [caddyevents.Handler]. When the process stops, it releases all
// parked requests, because Caddy waits for them before it cleans up. On a reload it does
// nothing, and requests stay parked.
func (s stopping) Handle(context.Context, caddy.Event) error {
	if !caddy.Exiting() {
		return nil
	}
	if held := s.app.hub.Lot.Parked(); held > 0 {
		s.app.hub.logger.Info("server is stopping, answering all parked requests", zap.Int("held", held))
	}
	s.app.hub.release()
	return nil
}

// putInForce puts the configuration's settings in force.
func (a *App) putInForce() {
	held := a.hub.Lot.Parked() // counted first, because a broker that starts may wake all requests
	a.hub.Lot.SetMaxParked(a.MaxParked)
	a.hub.Limits.Memory.SetLimit(a.MaxParkedBytes)
	a.hub.own.Start(brokers.History{
		Events:   a.History.Events,
		MaxAge:   time.Duration(a.History.MaxAge),
		MaxBytes: a.History.MaxBytes,
	}, a.hub.Lot.Receive)
	a.hub.Broker.use(a.hub.own)
	a.tellChange(current.Swap(&a.hub), held)
	metrics.Watch(a.hub.Broker.Health)
	metrics.WatchMemories(a.hub.Memories.Count)
}

// tellChange logs what a reload changes for parked requests.
func (a *App) tellChange(before *Hub, held int) {
	if before == nil || before == &a.hub {
		return
	}
	if held > 0 {
		a.hub.logger.Info("parked requests continue in the new configuration", zap.Int("held", held))
	}
	if was, is := before.brokerName(), a.hub.brokerName(); was != is {
		a.hub.logger.Info("switched to another broker", zap.String("broker", is), zap.String("before", was))
	}
}

// Stop does nothing, because requests stay parked through a reload.
func (*App) Stop() error { return nil }

// Cleanup leaves the state of the process.
func (a *App) Cleanup() error {
	if a.hub.Process == nil {
		return nil
	}
	return a.hub.leave()
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	parker {
//	    broker      <name> [{ <options of the broker> }]
//	    history     <events> [<age> [<size>]]
//	    max_parked  <requests> [<size>]
//	    max_message <size>
//	    max_channels_per_client <channels>
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	history := new(History)
	given, err := option.Read(d, option.Options{
		"broker": a.readBroker,
		"history": option.Sequence(
			option.Integer(&history.Events, 1),
			option.Optional(option.Duration(&history.MaxAge, time.Nanosecond)),
			option.Optional(option.Size(&history.MaxBytes)),
		),
		"max_parked":  option.Sequence(option.Integer(&a.MaxParked, 1), option.Optional(option.Size(&a.MaxParkedBytes))),
		"max_message": option.Size(&a.MaxMessage),

		"max_channels_per_client": option.Integer(&a.MaxChannelsPerClient, 1),
	})
	if given["history"] != nil {
		a.History = history
	}
	return err
}

func (a *App) readBroker(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if err := checkBroker(name); err != nil {
		return d.WrapErr(err)
	}
	module, err := caddyfile.UnmarshalModule(d, brokerNamespace+"."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(brokers.Broker); !ok {
		return d.Errf("module parker.brokers.%s is not a broker; is %T", name, module)
	}
	a.BrokerRaw = caddyconfig.JSONModuleObject(module, "name", name, nil)
	return nil
}

// ParseOption parses the global option parker, which may be given once.
func ParseOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("the global option parker is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "parker", Value: caddyconfig.JSON(app, nil)}, nil
}

// current is the hub of the configuration in force, or nil.
var current atomic.Pointer[Hub]

// Current returns the hub of the configuration in force, for Caddy's admin API. ok is
// false if parker is not configured.
func Current() (h Hub, ok bool) {
	if h := current.Load(); h != nil {
		return *h, true
	}
	return Hub{}, false
}

// Of returns the hub of a configuration, for its handlers.
func Of(ctx caddy.Context) (Hub, error) {
	app, err := ctx.App("parker")
	if err != nil {
		return Hub{}, fmt.Errorf("loading the parker app: %w", err)
	}
	return app.(*App).hub, nil
}

// Interface guards
var (
	_ caddy.App             = (*App)(nil)
	_ caddy.Provisioner     = (*App)(nil)
	_ caddy.CleanerUpper    = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyevents.Handler   = started{}
	_ caddyevents.Handler   = stopping{}
)
