package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestCommandWritesProfilesOfBothServers(t *testing.T) {
	caddytest.SkipShort(t)
	folder := filepath.Join(t.TempDir(), "a", "folder")
	succeed(t, "-parked", "0", "-streams", "0", "-compared", "10", "-duration", "0s", "-profile", folder)
	for _, part := range []string{"polls", "publishes"} {
		for _, server := range []string{"parker", "bare"} {
			for _, kind := range []string{"processor", "allocations", "allocations-before"} {
				name := part + "-" + server + "." + kind
				content, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Error(err)
				} else if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) { // gzip, as "go tool pprof" reads
					t.Errorf("%s is not a profile: %.20q", name, content)
				}
			}
		}
	}
}

func TestCommandReportsFolderOfProfilesThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	err := run(t.Context(), []string{"-profile", filepath.Join(file, "folder")}, io.Discard, &complaints)
	if exitCode(err) != 1 || !strings.Contains(complaints.String(), "making the folder for profiles") {
		t.Errorf("%v, %s", err, &complaints)
	}
}
