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

// App is what all of parker's handlers share: the broker that carries events,
// the lot where requests are parked, and their limits.
type App struct {
	// The broker that carries events and keeps their history. Default: memory,
	// which serves one process.
	BrokerRaw json.RawMessage `json:"broker,omitempty" caddy:"namespace=parker.brokers inline_key=name"`

	// How much is remembered of each channel, for clients that resume.
	History *History `json:"history,omitempty"`

	// How many requests this process parks at most. Beyond it requests are not
	// held: they get the backend's answer at once. Default: 100000.
	MaxParked int `json:"max_parked,omitempty"`

	// How many bytes they may hold: their headers and bodies, and the answers that are
	// kept for them. Beyond it requests are not held, either. Default: a quarter of the
	// memory that Go may use (GOMEMLIMIT, which Caddy sets by that of the container or
	// the machine), or 1 GB if there is no such limit.
	MaxParkedBytes int64 `json:"max_parked_bytes,omitempty"`

	// The largest message that can be published, in bytes. Default: 1 MB.
	MaxMessage int64 `json:"max_message,omitempty"`

	// On how many different channels the requests of one client wait at most,
	// where placeholders let clients name them. A client is an IPv4 address, or the
	// /64 network of an IPv6 address. Beyond it they are not held. Default: 1000.
	MaxChannelsPerClient int `json:"max_channels_per_client,omitempty"`

	hub           Hub
	configuration caddy.Context
}

// History bounds what is remembered.
type History struct {
	// How many messages are kept per channel. Of events without one only the last
	// is of use, and is kept. Default: 100.
	Events int `json:"events,omitempty"`

	// How long an event is kept, unless its publisher says otherwise.
	// Default: 10m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How many bytes the history of all channels may take in memory. Past it the
	// oldest events are forgotten first. Each counts with its message and some
	// hundred bytes for itself. Default: 100 MB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "parker", New: func() caddy.Module { return new(App) }}
}

// Provision joins the process's lot and sets up the broker.
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
		a.putInForce() // requests may come before all apps have started
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

// defaultParkedBytes is a part of the memory that leaves enough for all else: the stacks
// of parked requests, the history, and other handlers.
func defaultParkedBytes() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 4
	}
	return 1_000_000_000
}

// orDefaults has the default in place of each limit that is not given.
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

// check refuses limits that make no sense.
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

// Start does nothing: Caddy starts apps in any order, and goes on with the
// configuration that it has if one of them fails.
func (*App) Start() error { return nil }

// started is told when all apps of a configuration have started. Only then do its
// settings take the place of those in force: nobody would put them back.
type started struct{ app *App }

// Handle implements [caddyevents.Handler].
func (s started) Handle(context.Context, caddy.Event) error {
	s.app.putInForce()
	s.app.warnOfMistakes()
	return nil
}

// warnOfMistakes warns of what only shows when a whole configuration is loaded. With a
// broker that others use too, their requests may wait where none of this process does.
func (a *App) warnOfMistakes() {
	if a.hub.brokerName() != "memory" {
		return
	}
	if app, err := a.configuration.AppIfConfigured("http"); err == nil {
		a.hub.Meetings.Warn(app.(*caddyhttp.App), a.hub.logger)
	}
}

// stopping is told when a configuration is about to stop: the process with it, or for
// a reload, in which the parked stay.
type stopping struct{ app *App }

// Handle implements [caddyevents.Handler]. It releases what is parked when the process
// stops: Caddy waits for all requests before it cleans up.
func (s stopping) Handle(context.Context, caddy.Event) error {
	if !caddy.Exiting() {
		return nil
	}
	if held := s.app.hub.Lot.Parked(); held > 0 {
		s.app.hub.logger.Info("the server stops, so all that is held is answered", zap.Int("held", held))
	}
	s.app.hub.release()
	return nil
}

// putInForce puts the configuration's settings in force.
func (a *App) putInForce() {
	held := a.hub.Lot.Parked() // a broker that starts may have them all look for news
	a.hub.Lot.SetMaxParked(a.MaxParked)
	a.hub.Memory.SetLimit(a.MaxParkedBytes)
	a.hub.own.Start(brokers.History{
		Events:   a.History.Events,
		MaxAge:   time.Duration(a.History.MaxAge),
		MaxBytes: a.History.MaxBytes,
	}, a.hub.Lot.Receive)
	a.hub.Broker.use(a.hub.own)
	a.tellChange(current.Swap(&a.hub), held)
	metrics.Watch(a.hub.Broker.Health)
}

// tellChange logs what a reload changes for those who are parked.
func (a *App) tellChange(before *Hub, held int) {
	if before == nil || before == &a.hub {
		return
	}
	if held > 0 {
		a.hub.logger.Info("what is held goes on in the new configuration", zap.Int("held", held))
	}
	if was, is := before.brokerName(), a.hub.brokerName(); was != is {
		a.hub.logger.Info("another broker carries events from now on", zap.String("broker", is), zap.String("before", was))
	}
}

// Stop does nothing: what is parked stays through a reload.
func (*App) Stop() error { return nil }

// Cleanup leaves the process's lot.
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

// ParseOption reads the global option, which may be given once.
func ParseOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("parker is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "parker", Value: caddyconfig.JSON(app, nil)}, nil
}

// current is the hub of the configuration in force.
var current atomic.Pointer[Hub]

// Current is the hub of the configuration in force, for Caddy's admin endpoint. It is
// not ok when none is.
func Current() (h Hub, ok bool) {
	if h := current.Load(); h != nil {
		return *h, true
	}
	return Hub{}, false
}

// Of is the hub of a configuration, for its handlers.
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
