package caddytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need returns the first of the programs that is installed. Each is a name to look up
// in PATH, or a pattern of file names. If none is installed, the test is skipped with
// the sentence, which names what to install; if PARKER_REQUIRE_TOOLS is set, it fails
// instead.
func Need(t testing.TB, sentence string, programs ...string) string {
	t.Helper()
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
		if paths, _ := filepath.Glob(program); len(paths) > 0 {
			return paths[len(paths)-1]
		}
	}
	if os.Getenv("PARKER_REQUIRE_TOOLS") != "" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
	return ""
}
