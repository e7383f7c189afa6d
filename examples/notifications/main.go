// Command notifications shows parker at work: it starts a PHP page that supports only plain
// polling, and Caddy with the Caddyfile of this folder in front of it, which turns the page
// into an event stream. An interrupt ends both.
//
// Environment variables choose the ports: NOTIFICATIONS_PORT is the site's
// (8082), NOTIFICATIONS_PHP_PORT PHP's (8083), NOTIFICATIONS_HOOK_PORT the hook's
// (9082).
package main

import (
	"embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile page.html notifications.php
var files embed.FS

func main() {
	run.Main(run.Example{
		Name:    "notifications",
		Title:   "The page with the notifications",
		Site:    run.Port{Variable: "NOTIFICATIONS_PORT", Default: "8082"},
		Backend: run.Port{Variable: "NOTIFICATIONS_PHP_PORT", Default: "8083"},
		Hook:    run.Port{Variable: "NOTIFICATIONS_HOOK_PORT", Default: "9082"},
		Files:   files,
		Folder:  "NOTIFICATIONS_FOLDER",
		Command: php,
	})
}

const noPHP = "PHP with SQLite not found: install php-cli and php-sqlite3"

// php returns the command of PHP's built-in server. -q keeps it from logging requests.
func php(folder, port string) (program string, args []string, err error) {
	program, err = run.Find("php", noPHP)
	if err != nil {
		return "", nil, err
	}
	if exec.Command(program, "-r", `exit(extension_loaded("pdo_sqlite") ? 0 : 1);`).Run() != nil {
		return "", nil, errors.New(noPHP)
	}
	os.Setenv("NOTIFICATIONS_DATABASE", filepath.Join(folder, "notifications.sqlite"))
	return program, []string{"-q", "-S", "127.0.0.1:" + port, filepath.Join(folder, "notifications.php")}, nil
}
