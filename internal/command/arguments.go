package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// arguments returns a check of the number of a command's arguments. Its error contains
// needs, a description of the arguments, and example, a complete command.
func arguments(least, most int, needs, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return fmt.Errorf("%s needs %s (%d given), for example: %s", cmd.CommandPath(), needs, len(args), example)
	}
}

// errNoAdminURL is the error for a URL that is not the address of a listener.
var errNoAdminURL = errors.New("the admin API listens at a host and port, or at a unix socket, for example localhost:2019 or unix//run/caddy-admin.sock")

// adminAddress returns a listener's address in the form that Caddy's own commands
// accept. The address may also be given as an HTTP URL.
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
		return "", fmt.Errorf("--address %s: missing port: %w", given, errNoAdminURL)
	}
	return address, nil
}

// withoutPassword returns a URL without its password.
func withoutPassword(given string) string {
	if target, err := url.Parse(given); err == nil {
		return target.Redacted()
	}
	return "(invalid URL)"
}
