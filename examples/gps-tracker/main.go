// Command gps-tracker shows parker at work: it starts a tracker, a Python program that
// serves one request at a time, and Caddy with the Caddyfile of this folder in front of it.
// The page shows the same track by polling, long-poll, stream and piggyback. An interrupt
// ends both.
//
// Environment variables choose the ports: TRACKER_PORT is the site's (8084),
// TRACKER_PYTHON_PORT Python's (8085), TRACKER_HOOK_PORT the hook's (9084).
package main

import (
	"embed"
	"path/filepath"

	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile page.html tracker.py
var files embed.FS

func main() {
	run.Main(run.Example{
		Name:    "gps-tracker",
		Title:   "The tracker",
		Site:    run.Port{Variable: "TRACKER_PORT", Default: "8084"},
		Backend: run.Port{Variable: "TRACKER_PYTHON_PORT", Default: "8085"},
		Hook:    run.Port{Variable: "TRACKER_HOOK_PORT", Default: "9084"},
		Files:   files,
		Folder:  "TRACKER_FOLDER",
		Command: python,
	})
}

// python returns the command of the tracker. -B keeps Python from writing compiled files.
func python(folder, _ string) (program string, args []string, err error) {
	program, err = run.Find("python3", "Python not found: install python3")
	return program, []string{"-B", filepath.Join(folder, "tracker.py")}, err
}
