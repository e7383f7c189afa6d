package advise_test

import (
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
	"github.com/caddy-parker/parker/internal/advise"
)

func init() { advise.CheckLoads = checkLoads }

// checkLoads adapts a Caddyfile and provisions it, as caddy validate does.
func checkLoads(t *testing.T, caddyfile string) {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n\tauto_https off\n\tadmin off\n}\n"+caddyfile), nil)
	if err != nil {
		t.Errorf("the advice cannot be adapted: %v\n%s", err, caddyfile)
		return
	}
	for _, warning := range warnings {
		if warning.Message != "Caddyfile input is not formatted; run 'caddy fmt --overwrite' to fix inconsistencies" {
			t.Errorf("warning: %s", warning)
		}
	}
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adapted, config); err != nil {
		t.Fatal(err)
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output": "discard"}`)}},
	}}
	if err := caddy.Validate(config); err != nil {
		t.Errorf("the advice does not load: %v\n%s", err, caddyfile)
	}
}
