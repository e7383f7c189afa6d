package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
)

// caddyfileVariable is the environment variable that makes this program run as the Caddy
// that is measured. It contains the Caddyfile.
const caddyfileVariable = "PARKER_BENCH_CADDYFILE"

// globalOptions are the global options of each Caddy that is measured. They turn off
// everything that is not measured.
const globalOptions = `
	admin off
	persist_config off
	storage_clean_interval off
	log {
		level ERROR
	}
`

// serveCaddy runs this program as Caddy.
func serveCaddy(caddyfile string) error {
	err := loadCaddy(caddyfile)
	for tries := 1; err != nil && tries < 5; tries++ { // another program may have taken a port
		err = loadCaddy(caddyfile)
	}
	if err != nil {
		return fmt.Errorf("loading Caddy: %w", err)
	}
	return obey(os.Getenv("SITE"), os.Getenv("HOOK"))
}

// loadCaddy loads the Caddyfile, in which {$SITE} and {$HOOK} stand for free loopback
// addresses.
func loadCaddy(caddyfile string) error {
	if err := chooseAddresses("SITE", "HOOK"); err != nil {
		return fmt.Errorf("finding a free port: %w", err)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// chooseAddresses sets environment variables to free loopback addresses.
func chooseAddresses(variables ...string) error {
	for _, name := range variables {
		// Caddy listens on all interfaces, so the port must be free on all of them.
		listener, err := net.Listen("tcp", ":0")
		if err != nil {
			return err
		}
		// Each listener stays open until the last port is found, so that no port is
		// found twice.
		defer listener.Close()
		os.Setenv(name, fmt.Sprint("127.0.0.1:", listener.Addr().(*net.TCPAddr).Port))
	}
	return nil
}

// startCaddy starts this program again as a Caddy with the Caddyfile, and returns when it
// serves. It is killed when ctx is canceled.
func startCaddy(ctx context.Context, caddyfile string) (*process, error) {
	p, err := startProcess(ctx, caddyfileVariable, caddyfile)
	if err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	return p, nil
}
