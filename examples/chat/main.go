// Command chat shows parker at work in one command: it starts a legacy chat, a
// process of its own that serves one request at a time, and Caddy with the
// Caddyfile of this folder in front of it. An interrupt ends both.
//
// Its ports can be chosen by the environment: CHAT_PORT is the site's (8080),
// CHAT_LEGACY_PORT the legacy chat's (8081), CHAT_HOOK_PORT the hook's (9080).
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
	"github.com/caddy-parker/parker/examples/chat/legacy"
)

var (
	//go:embed Caddyfile
	caddyfile []byte

	//go:embed panel.html
	panel []byte
)

func main() {
	err := errors.New("usage: chat [legacy]")
	switch arguments := os.Args[1:]; {
	case len(arguments) == 0:
		err = run()
	case slices.Equal(arguments, []string{"legacy"}):
		err = legacy.Run()
	case slices.Equal(arguments, []string{"legacy", "attached"}):
		endWithStdin()
		err = legacy.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// run starts the legacy chat and Caddy. It returns only if one of them fails:
// an interrupt has Caddy end the process.
func run() error {
	port := cmp.Or(os.Getenv("CHAT_PORT"), "8080")
	hookPort := cmp.Or(os.Getenv("CHAT_HOOK_PORT"), "9080")
	if err := errors.Join(checkFree("CHAT_PORT", port), checkFree("CHAT_HOOK_PORT", hookPort)); err != nil {
		return err
	}
	ended, err := startLegacy()
	if err != nil {
		return err
	}
	if err := startCaddy(); err != nil {
		return err
	}
	fmt.Printf("The chat is at http://localhost:%s - Ctrl-C ends it.\n", port)
	return fmt.Errorf("the legacy chat ended: %w", <-ended)
}

// checkFree tells whether nobody listens on the port yet. Caddy shares its ports
// with other processes of the same user, and would not complain.
func checkFree(variable, port string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("port %s cannot be used (%s names another): %w", port, variable, err)
	}
	return listener.Close()
}

// startLegacy starts this program again as the legacy chat, and waits until
// that accepts requests. The channel says how it ended.
func startLegacy() (<-chan error, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program to start as the legacy chat: %w", err)
	}
	command := exec.Command(program, "legacy", "attached")
	command.Stderr = os.Stderr
	// Nothing is ever written there: it closes when this process ends.
	if _, err := command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the legacy chat: %w", err)
	}
	_, notReady := bufio.NewReader(output).ReadString('\n')
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	if notReady != nil {
		return nil, fmt.Errorf("the legacy chat did not start: %w", <-ended)
	}
	return ended, nil
}

// endWithStdin ends this process when the one that started it has ended, in
// whatever way, and not before: a terminal sends its interrupt to both, and
// Caddy may still be asking.
func endWithStdin() {
	signal.Ignore(os.Interrupt)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}

// startCaddy runs the Caddyfile, and has signals end the process as they end
// Caddy, so that held requests are answered first.
func startCaddy() error {
	folder, err := os.MkdirTemp("", "parker-chat-")
	if err != nil {
		return fmt.Errorf("making a folder for the panel's page: %w", err)
	}
	remove := func() { os.RemoveAll(folder) }
	caddy.OnExit(func(context.Context) { remove() })
	if err := os.WriteFile(filepath.Join(folder, "panel.html"), panel, 0o600); err != nil {
		remove()
		return err
	}
	os.Setenv("CHAT_FOLDER", folder)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		remove()
		return err
	}
	caddy.TrapSignals()
	if err := caddy.Load(config, true); err != nil {
		remove()
		return err
	}
	return nil
}
