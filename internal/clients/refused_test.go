package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// refusals has hooks that refuse a message of 2 MB, for its size or because there is no
// token.
const refusals = `
http://{$SITE} {
	handle_path /token/* {
		parker_publish {
			token secret
		}
	}
	handle {
		parker_publish
	}
}
`

var refused = map[string]string{"/news": "413", "/token/news": "401"}

// times is how often each client publishes, because most of them would sometimes see
// the refusal by luck.
const times = 20

func TestHookRefusesLargeMessageReadablyForPython(t *testing.T) {
	t.Parallel()
	python := caddytest.Need(t, "python3 is not installed (apt-get install python3)", "python3")
	caddy := caddytest.Start(t, refusals, "")
	for path, want := range refused {
		output, err := exec.Command(python, "testdata/publish.py", "http://"+caddy.Site+path, "2000000", fmt.Sprint(times)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		if len(lines) < 2*times {
			t.Errorf("%s: only %d lines: %s", path, len(lines), output)
		}
		for _, line := range lines {
			if !strings.HasSuffix(line, " "+want) {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
}

func TestHookRefusesLargeMessageReadablyForCurl(t *testing.T) {
	t.Parallel()
	curl := caddytest.Need(t, "curl is not installed (apt-get install curl)", "curl")
	caddy := caddytest.Start(t, refusals, "")
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, make([]byte, 2_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range refused {
		for _, expect := range []string{"Expect:", "Expect: 100-continue"} {
			for range times {
				output, err := exec.Command(curl, "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-H", expect, "--data-binary", "@"+body, "http://"+caddy.Site+path).CombinedOutput()
				if err != nil || string(output) != want {
					t.Errorf("%s with %q: %v, %s", path, expect, err, output)
				}
			}
		}
	}
}
