// Package command is `caddy parker`: what those who run Caddy do about parker from a
// terminal.
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
		Short: "Shows what parker holds, publishes, and listens",
		Long: `
Works with parker, which holds polls until there is news.

The commands status and publish ask the running Caddy by its admin API at
'` + caddy.DefaultAdminListen + `', or where --address or the --config that it runs
with say. The command tail is a client of any URL.`,
		CobraFunc: func(cmd *cobra.Command) { cmd.AddCommand(statusCommand(), publishCommand(), tailCommand()) },
	})
}

// addAddressFlags adds the flags by which Caddy's own commands find the admin API.
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

// administer makes a request at the admin API, over a connection of its own. What is
// answered can be read until ctx ends.
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

// untilInterrupted is a context that ends with Ctrl+C and the like.
func untilInterrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// exit is what a command returns to Caddy.
func exit(err error) (int, error) {
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	return caddy.ExitCodeSuccess, nil
}
