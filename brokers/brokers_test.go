package brokers_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A Caddy with only the memory broker must not contain the client of a server.
func TestParkerWithoutBrokersLinksNoClient(t *testing.T) {
	packages, err := exec.Command("go", "list", "-deps", "github.com/caddy-parker/parker").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(packages)) {
		if strings.Contains(name, "redis") || strings.Contains(name, "nats") {
			t.Errorf("it links %s", name)
		}
	}
}
