// Package adapt tests how Caddy reads parker's part of a Caddyfile: what it
// becomes as JSON, and what is refused, where.
//
// Each file in testdata is a Caddyfile, a line of dashes and what
// caddy adapt --pretty prints for it.
package adapt

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-parker/parker"
	_ "github.com/caddy-parker/parker/brokers/nats"
	_ "github.com/caddy-parker/parker/brokers/redis"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/status"
)

func TestCaddyfilesBecomeTheirJSON(t *testing.T) {
	for name, golden := range goldenFiles(t) {
		t.Run(name, func(t *testing.T) {
			config, warnings, err := adapt(golden.caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range warnings {
				t.Errorf("warning: %s", warning)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, config, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if pretty.String() != golden.config {
				t.Errorf("the JSON is:\n%s", &pretty)
			}
		})
	}
}

func TestAdaptedJSONIsAllReadBack(t *testing.T) {
	for name, golden := range goldenFiles(t) {
		t.Run(name, func(t *testing.T) {
			checkReadBack(t, []byte(golden.config))
		})
	}
}

// TestAdaptedConfigurationsProvision loads them as caddy validate does, without
// listening, and without the certificates of sites that would have some.
func TestAdaptedConfigurationsProvision(t *testing.T) {
	t.Setenv("PARKER_TOKEN", "Zmlyc3Q")
	for name, golden := range goldenFiles(t) {
		t.Run(name, func(t *testing.T) {
			config := new(caddy.Config)
			if err := caddy.StrictUnmarshalJSON([]byte(golden.config), config); err != nil {
				t.Fatal(err)
			}
			config.Admin = &caddy.AdminConfig{Disabled: true}
			config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
				"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output": "discard"}`)}},
			}}
			config.StorageRaw = caddyconfig.JSONModuleObject(map[string]string{"root": t.TempDir()}, "module", "file_system", nil)
			config.AppsRaw["http"] = withoutCertificates(t, config.AppsRaw["http"])
			if err := caddy.Validate(config); err != nil {
				t.Error(err)
			}
		})
	}
}

func withoutCertificates(t *testing.T, app json.RawMessage) json.RawMessage {
	t.Helper()
	var decoded struct {
		Servers map[string]map[string]any `json:"servers"`
	}
	if err := json.Unmarshal(app, &decoded); err != nil {
		t.Fatal(err)
	}
	for _, server := range decoded.Servers {
		server["automatic_https"] = map[string]bool{"disable": true}
	}
	return caddyconfig.JSON(decoded, nil)
}

type golden struct {
	caddyfile, config string
}

func goldenFiles(t testing.TB) map[string]golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	files := make(map[string]golden)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		caddyfile, config, ok := strings.Cut(string(content), "----------\n")
		if !ok {
			t.Fatalf("%s: no line of dashes", path)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".caddyfiletest")
		files[name] = golden{caddyfile, strings.TrimSpace(config)}
	}
	return files
}

// fileName is the name of every Caddyfile that is adapted here.
const fileName = "site.caddyfile"

func adapt(caddyfile string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": fileName})
}

// checkReadBack has parker's parts of a configuration unmarshalled, where an
// unknown member is an error, and nothing of them may get lost.
func checkReadBack(t *testing.T, config []byte) {
	t.Helper()
	var decoded struct {
		Apps struct {
			HTTP   any            `json:"http"`
			Parker map[string]any `json:"parker"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &decoded); err != nil {
		t.Fatal(err)
	}
	if decoded.Apps.Parker != nil {
		checkSame(t, decoded.Apps.Parker, new(hub.App))
	}
	eachObject(decoded.Apps.HTTP, func(object map[string]any) {
		var into any
		switch object["handler"] {
		case "parker":
			into = new(parker.Handler)
		case "parker_notify":
			into = new(parker.Notify)
		case "parker_publish":
			into = new(hook.Handler)
		case "parker_status":
			into = new(status.Handler)
		default:
			return
		}
		delete(object, "handler")
		checkSame(t, object, into)
	})
}

func checkSame(t *testing.T, object map[string]any, into any) {
	t.Helper()
	if err := caddy.StrictUnmarshalJSON(caddyconfig.JSON(object, nil), into); err != nil {
		t.Fatalf("%T from %v: %v", into, object, err)
	}
	var back map[string]any
	if err := json.Unmarshal(caddyconfig.JSON(into, nil), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, object) {
		t.Errorf("%T keeps %v of %v", into, back, object)
	}
}

// eachObject calls visit with every object in a decoded JSON value, the outer
// ones first.
func eachObject(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(value)
		for _, member := range value {
			eachObject(member, visit)
		}
	case []any:
		for _, element := range value {
			eachObject(element, visit)
		}
	}
}
