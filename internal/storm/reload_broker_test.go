package storm

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/caddy-parker/parker/brokers/nats"
	_ "github.com/caddy-parker/parker/brokers/redis"
	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// onStarting is called when the app "starting" starts, before or after the servers. If
// it returns an error, the configuration is refused.
var onStarting atomic.Pointer[func() error]

func init() {
	caddy.RegisterModule(new(starting))
	httpcaddyfile.RegisterGlobalOption("starting", func(*caddyfile.Dispenser, any) (any, error) {
		return httpcaddyfile.App{Name: "starting", Value: caddyconfig.JSON(new(starting), nil)}, nil
	})
}

// starting is an app that delays its start.
type starting struct{}

func (*starting) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "starting", New: func() caddy.Module { return new(starting) }}
}

func (*starting) Start() error {
	if f := onStarting.Load(); f != nil {
		return (*f)()
	}
	return nil
}

func (*starting) Stop() error { return nil }

// gateConfig is a site whose hook names its generation.
const gateConfig = `{
	admin off
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	starting
	parker {
		broker %[3]s
	}
}
http://%[1]s {
	parker /messages {
		timeout 4m
	}
	respond 204
}
http://%[2]s {
	header X-Generation %[4]d
	parker_publish
}`

// generations is a sequence of configurations with different brokers.
type generations struct {
	load.Load
	load.Publisher
	site, hook string
	number     int

	// within counts the publishes accepted by servers whose broker had not started yet,
	// by broker and by whether the configuration was refused.
	within map[string]int
}

var errRefused = errors.New("the configuration is refused")

// reload loads a configuration with the broker, which may be refused at the end, and
// publishes as soon as its hook answers.
func (g *generations) reload(t *testing.T, broker string, refused bool) {
	t.Helper()
	g.number++
	starts := func() error {
		for i := 0; i < 20 && !t.Failed(); i++ {
			if g.publish(t) == g.number {
				g.within[fmt.Sprint(broker, refused)]++
			}
		}
		if refused {
			return errRefused
		}
		return nil
	}
	onStarting.Store(&starts)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, gateConfig, g.site, g.hook, broker, g.number), nil)
	if err == nil {
		g.Reload(func() { err = caddy.Load(adapted, true) })
	}
	if (err != nil) != refused {
		t.Fatal(err)
	}
}

// publish publishes while a poll is parked. It returns the generation that accepted the
// publish.
func (g *generations) publish(t *testing.T) (generation int) {
	answer := g.Exchange(1)
	if _, err := fmt.Sscan(answer.Header.Get("X-Generation"), &generation); err != nil {
		t.Errorf("a publish was answered %+v", answer)
	}
	return generation
}

// A configuration answers requests before all of its apps have started, and so before
// its broker has.
func TestStormReloadOfBrokerDeliversEveryEvent(t *testing.T) {
	defer onStarting.Store(nil)
	redis, nats := caddytest.StartRedis(t), caddytest.StartNATS(t)
	addresses := caddytest.FreePorts(t, 2)
	g := &generations{site: addresses[0], hook: addresses[1], Load: load.Load{T: t}, within: make(map[string]int)}
	g.Publisher = load.Publisher{Load: &g.Load, Hook: "http://" + g.hook + "/messages", Topic: g.Load.Topic("messages"), Transport: load.Fresh()}
	inprocess.Serve(t, fmt.Sprintf(gateConfig, g.site, g.hook, "memory", 0))
	site := &caddytest.Client{Protocol: caddytest.HTTP1, URL: "http://" + g.site, Transport: load.Fresh()}
	g.Follow(load.Client{Form: load.Poll, Sites: []*caddytest.Client{site}, Path: "/messages", Messages: []*load.Topic{g.Publisher.Topic}, Anew: true})
	g.Start()
	all := []string{"redis {\n url " + redis.URL + "\n}", "memory", "nats {\n url " + nats.URL + "\n}", "memory"}
	// Apps start in no fixed order.
	for i := 0; len(g.within) < 6 && i < 100; i++ {
		for _, refused := range []bool{true, false} {
			g.reload(t, all[i%len(all)], refused)
			g.publish(t)
			if t.Failed() {
				return
			}
		}
	}
	g.Finish()
	if len(g.within) < 6 {
		t.Errorf("no server started before its broker: %v", g.within)
	}
}
