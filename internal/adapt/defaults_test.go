package adapt

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/caddy-parker/parker"
	"github.com/caddy-parker/parker/internal/hub"
)

// provisioned is the app that a JSON configuration of it makes.
func provisioned(t *testing.T, config string) *hub.App {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		AppsRaw: caddy.ModuleMap{"parker": json.RawMessage(config)},
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("parker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.(*hub.App).Cleanup() })
	return app.(*hub.App)
}

func TestHistoryDefaultsFillIn(t *testing.T) {
	const age, bytes = caddy.Duration(10 * time.Minute), 100_000_000
	for config, want := range map[string]hub.History{
		`{}`:                                  {Events: 100, MaxAge: age, MaxBytes: bytes},
		`{"history": {}}`:                     {Events: 100, MaxAge: age, MaxBytes: bytes},
		`{"history": {"events": 5}}`:          {Events: 5, MaxAge: age, MaxBytes: bytes},
		`{"history": {"max_age": "1h"}}`:      {Events: 100, MaxAge: caddy.Duration(time.Hour), MaxBytes: bytes},
		`{"history": {"max_bytes": 1000000}}`: {Events: 100, MaxAge: age, MaxBytes: 1_000_000},
		`{"history": {"events": 5, "max_bytes": 7, "max_age": 9}}`: {Events: 5, MaxAge: 9, MaxBytes: 7},
	} {
		if got := provisioned(t, config).History; *got != want {
			t.Errorf("%s: %+v, want %+v", config, *got, want)
		}
	}
}

func TestAppRefusesNegativeLimits(t *testing.T) {
	for _, config := range []string{
		`{"history": {"events": -1}}`, `{"history": {"max_age": -1}}`, `{"history": {"max_bytes": -1}}`,
		`{"max_parked": -1}`, `{"max_message": -1}`,
	} {
		_, err := caddy.ProvisionContext(&caddy.Config{
			Admin:   &caddy.AdminConfig{Disabled: true},
			AppsRaw: caddy.ModuleMap{"parker": json.RawMessage(config)},
		})
		if err == nil {
			t.Errorf("%s is accepted", config)
		}
	}
}
