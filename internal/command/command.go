// Package command implements the command `caddy parker`.
package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "parker",
		Usage: "<command>",
		Short: "Shows parked requests, publishes events, and follows URLs",
		Long: `
Commands for parker, which holds polls until there is news.

The commands status and publish use the admin API of the running Caddy, by default at
'` + caddy.DefaultAdminListen + `'. Set another address with --address, or with --config
and the configuration file of the running Caddy. The command tail is a client of any URL.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(adviseCommand(), statusCommand(), publishCommand(), tailCommand())
		},
	})
}

// addAddressFlags adds the flags with which Caddy's own commands find the admin API.
func addAddressFlags(cmd *cobra.Command) {
	cmd.Flags().StringP("address", "", "", "Address of the administration API listener (if --config is not used)")
	cmd.Flags().StringP("config", "c", "", "Configuration file (if --address is not used)")
	cmd.Flags().StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
}

const addressUsage = "[--address <interface>] [--config <path> [--adapter <name>]]"

func addressOf(fl caddycmd.Flags) (string, error) {
	if given := fl.String("address"); given != "" {
		return adminAddress(given)
	}
	address, err := caddycmd.DetermineAdminAPIAddress("", nil, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return "", fmt.Errorf("couldn't determine admin API address: %w", err)
	}
	return address, nil
}

// administer sends a request to the admin API over a new connection and returns the
// body of the answer. The body is closed when ctx is canceled.
func administer(ctx context.Context, address, method, path string, header http.Header, body io.Reader) (io.ReadCloser, error) {
	header.Set("Connection", "close")
	type result struct {
		answer *http.Response
		err    error
	}
	came := make(chan result, 1)
	go func() {
		answer, err := caddycmd.AdminAPIRequest(address, method, path, header, body)
		came <- result{answer, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-came:
		if r.err != nil {
			return nil, r.err
		}
		context.AfterFunc(ctx, func() { r.answer.Body.Close() })
		return r.answer.Body, nil
	}
}

// untilInterrupted returns a context that is canceled by SIGINT (Ctrl+C) or SIGTERM.
func untilInterrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// exit returns the results of a command for Caddy.
func exit(err error) (int, error) {
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	return caddy.ExitCodeSuccess, nil
}
