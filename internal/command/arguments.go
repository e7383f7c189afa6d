package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// arguments checks how many arguments a command is given. needs says which they are, and
// example is how to write them.
func arguments(least, most int, needs, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return fmt.Errorf("%s needs %s (%d given); write for example: %s", cmd.CommandPath(), needs, len(args), example)
	}
}

// errNoAdminURL says what is to be written in place of a URL that names no listener.
var errNoAdminURL = errors.New("the admin API listens at a host and port, or at a unix socket: write for example localhost:2019 or unix//run/caddy-admin.sock")

// adminAddress is the address of a listener as Caddy's own commands take it, also where it
// is given as a URL of HTTP.
func adminAddress(given string) (string, error) {
	address := given
	if scheme, rest, ok := strings.Cut(given, "://"); ok {
		target, err := url.Parse(given)
		if err != nil || !strings.EqualFold(scheme, "http") || strings.TrimSuffix(rest, "/") != target.Host {
			return "", fmt.Errorf("--address %s: %w", withoutPassword(given), errNoAdminURL)
		}
		address = target.Host
	}
	parsed, err := caddy.ParseNetworkAddress(address)
	switch {
	case err != nil:
		return "", fmt.Errorf("--address %s: %w: %w", given, err, errNoAdminURL)
	case !parsed.IsUnixNetwork() && !parsed.IsFdNetwork() && parsed.StartPort == 0:
		return "", fmt.Errorf("--address %s: there is no port: %w", given, errNoAdminURL)
	}
	return address, nil
}

// withoutPassword is a URL without what is secret in it.
func withoutPassword(given string) string {
	if target, err := url.Parse(given); err == nil {
		return target.Redacted()
	}
	return "is no URL"
}
