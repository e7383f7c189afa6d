package hub_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-parker/parker/internal/hub"
)

func init() { caddy.RegisterModule(new(hub.App)) }

// missing are brokers that this test's build does not have, and what says so.
var missing = map[string]string{
	"redis": "the broker redis is not included in this build of Caddy, only: memory. Build Caddy with it: xcaddy build --with github.com/caddy-parker/parker --with github.com/caddy-parker/parker/brokers/redis",
	"nats":  "--with github.com/caddy-parker/parker/brokers/nats",
	"kafka": `unknown broker "kafka": this build of Caddy includes only: memory. The brokers of parker are memory, nats, redis. To build Caddy with another module: xcaddy build --with github.com/caddy-parker/parker --with <module>`,
	"Redis": "The brokers of parker are memory, nats, redis",
}

func TestCheckBrokerSaysHowToBuildMissingBroker(t *testing.T) {
	for name, says := range missing {
		_, err := hub.ParseOption(caddyfile.NewTestDispenser("parker {\n\tmax_parked 5\n\tbroker "+name+" {\n\t\turl a://b\n\t}\n}"), nil)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasSuffix(err.Error(), "at Testfile:3") {
			t.Errorf("%s in a Caddyfile: %v", name, err)
		}
		app := json.RawMessage(`{"broker": {"name": "` + name + `", "urls": ["a://b"]}}`)
		err = caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{"parker": app}})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s in JSON: %v", name, err)
		}
	}
}

func TestCheckBrokerAcceptsIncludedBroker(t *testing.T) {
	if _, err := hub.ParseOption(caddyfile.NewTestDispenser("parker {\n\tbroker memory\n}"), nil); err != nil {
		t.Error(err)
	}
	app := json.RawMessage(`{"broker": {"name": "memory"}}`)
	if err := caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{"parker": app}}); err != nil {
		t.Error(err)
	}
}
