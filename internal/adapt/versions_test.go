package adapt

import (
	"regexp"
	"strings"
	"testing"
)

// TestVersionsInTheDocsAreThoseOfGoMod goes by go.mod, which says what parker is built
// with at least.
func TestVersionsInTheDocsAreThoseOfGoMod(t *testing.T) {
	module := read(t, "go.mod")
	caddy := regexp.MustCompile(`caddyserver/caddy/v2 v(\S+)`).FindStringSubmatch(module)[1]
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(module)[1]
	for path, texts := range map[string][]string{
		"README.md":                  {"Caddy " + caddy + " and newer", "(https://go.dev/dl/) " + language + " or newer"},
		"CONTRIBUTING.md":            {"Go " + language, "Caddy v" + caddy},
		"examples/docker/Dockerfile": {"FROM caddy:" + caddy + "-builder", "FROM caddy:" + caddy + "\n"},
	} {
		for _, text := range texts {
			if !strings.Contains(read(t, path), text) {
				t.Errorf("%s does not have %q", path, text)
			}
		}
	}
}

func TestCaddyfileForDockerAdapts(t *testing.T) {
	config, warnings, err := adapt(read(t, "examples/docker/Caddyfile"))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", err, warnings)
	}
	checkReadBack(t, config)
}
