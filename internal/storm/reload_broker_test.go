package storm

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/caddy-parker/parker/brokers/nats"
	_ "github.com/caddy-parker/parker/brokers/redis"
	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
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
			if at := g.publishParked(t); at == g.number {
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
		err = caddy.Load(adapted, true)
	}
	if (err != nil) != refused {
		t.Fatal(err)
	}
}

// publishParked parks a poll and publishes. It returns the generation that accepted the
// publish.
func (g *generations) publishParked(t *testing.T) (generation int) {
	polled := make(chan caddytest.Answer, 1)
	go func() { polled <- retryRequest(t, http.MethodGet, "http://"+g.site+"/messages", "") }()
	caddytest.AwaitWaiting(t, "http://"+g.hook+"/messages", 1)
	said := retryRequest(t, http.MethodPost, "http://"+g.hook+"/messages", "hello")
	if _, err := fmt.Sscan(said.Header.Get("X-Generation"), &generation); err != nil || said.Status != http.StatusOK && said.Status != http.StatusAccepted {
		t.Errorf("publishing: %+v", said)
	}
	select {
	case a := <-polled:
		if a.Body != "hello" {
			t.Errorf("a poll was answered %+v", a)
		}
	case <-time.After(caddytest.Patience):
		t.Errorf("the publish at generation %d of %d, answered %s, released no poll", generation, g.number, said.Body)
	}
	return generation
}

// retryRequest retries until it gets an answer, because a listener may close without
// accepting a connection.
func retryRequest(t *testing.T, method, url, body string) (a caddytest.Answer) {
	client := &http.Transport{DisableKeepAlives: true}
	for range 100 {
		if a = caddytest.DoWith(t.Context(), client, method, url, body); a.Err == nil {
			break
		}
	}
	return a
}

// A configuration answers requests before all of its apps have started, and so before
// its broker has.
func TestStormReloadOfBrokerDeliversEveryEvent(t *testing.T) {
	defer onStarting.Store(nil)
	redis, nats := caddytest.StartRedis(t), caddytest.StartNATS(t)
	addresses := caddytest.FreePorts(t, 2)
	g := &generations{site: addresses[0], hook: addresses[1], within: make(map[string]int)}
	inprocess.Serve(t, fmt.Sprintf(gateConfig, g.site, g.hook, "memory", 0))
	all := []string{"redis {\n url " + redis.URL + "\n}", "memory", "nats {\n url " + nats.URL + "\n}", "memory"}
	// Apps start in no fixed order.
	for i := 0; len(g.within) < 6 && i < 100; i++ {
		for _, refused := range []bool{true, false} {
			g.reload(t, all[i%len(all)], refused)
			g.publishParked(t)
			if t.Failed() {
				return
			}
		}
	}
	if len(g.within) < 6 {
		t.Errorf("no server started before its broker: %v", g.within)
	}
}
