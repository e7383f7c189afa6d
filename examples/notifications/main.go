// Command notifications shows parker at work in one command: it starts a PHP page
// that knows plain polling only, and Caddy with the Caddyfile of this folder in
// front of it, which makes an event stream of it. An interrupt ends both.
//
// Its ports can be chosen by the environment: NOTIFICATIONS_PORT is the site's
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

const noPHP = "there is no PHP with SQLite: install php-cli and php-sqlite3"

// php is PHP's own server with the page. -q has it not log every request.
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
