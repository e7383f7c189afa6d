// Command chat shows parker at work: it starts a legacy chat, a process of its own that
// serves one request at a time, and Caddy with the Caddyfile of this folder in front of
// it. An interrupt ends both.
//
// Environment variables choose the ports: CHAT_PORT is the site's (8080),
// CHAT_LEGACY_PORT the legacy chat's (8081), CHAT_HOOK_PORT the hook's (9080).
package main

import (
	"embed"
	"fmt"
	"os"
	"slices"

	"github.com/caddy-parker/parker/examples/chat/legacy"
	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile panel.html
var files embed.FS

func main() {
	if slices.Equal(os.Args[1:], []string{"legacy"}) {
		fmt.Fprintln(os.Stderr, "chat:", legacy.Run())
		os.Exit(1)
	}
	run.Main(run.Example{
		Name:    "chat",
		Title:   "The chat",
		Site:    run.Port{Variable: "CHAT_PORT", Default: "8080"},
		Backend: run.Port{Variable: "CHAT_LEGACY_PORT", Default: legacy.DefaultPort},
		Hook:    run.Port{Variable: "CHAT_HOOK_PORT", Default: "9080"},
		Files:   files,
		Folder:  "CHAT_FOLDER",
		Command: func(_, _ string) (string, []string, error) {
			self, err := os.Executable()
			return self, []string{"legacy"}, err
		},
	})
}
