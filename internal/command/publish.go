package command

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-parker/parker/brokers"
)

func publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish <channel> [<message>] [--content-type <type>] [--event <name>] [--expires <seconds>] [--id <id>] " + addressUsage,
		Short: "Publishes on a channel",
		Long: `
Publishes an event on a channel, as the hook does, and prints the result as JSON.

With a message, waiting requests are answered with that message. Without one, they are
woken, and the backend is asked again. If the message is -, it is read from standard
input.`,
		Example: `  $ caddy parker publish messages
  $ caddy parker publish rooms/7 '{"text":"hello"}'
  $ date | caddy parker publish clock - --expires 60`,
		Args: arguments(1, 2, "a channel and optionally a message, in quotes if it contains spaces", `caddy parker publish rooms/7 '{"text":"hello"}'`),
		RunE: caddycmd.WrapCommandFuncForCobra(publish),
	}
	for _, f := range publishFlags {
		cmd.Flags().StringP(f.name, "", "", f.usage)
	}
	addAddressFlags(cmd)
	return cmd
}

// publishFlags are the flags that become fields of the request.
var publishFlags = []struct{ name, field, usage string }{
	{"content-type", "Content-Type", "Content type of the message (default: JSON if the message is valid JSON, otherwise text)"},
	{"event", "Parker-Event", "Type of the event on a stream"},
	{"expires", "Parker-Expires", "Number of seconds, such as 0.5, that the event is kept for clients that resume; 0: not at all"},
	{"id", "Parker-Id", "Your own ID of the event; a second event with the same ID is not published"},
}

func publish(fl caddycmd.Flags) (int, error) {
	channel := fl.Arg(0)
	if err := brokers.CheckChannel(channel); err != nil {
		return exit(err)
	}
	message, err := messageOf(fl)
	if err != nil {
		return exit(err)
	}
	address, err := addressOf(fl)
	if err != nil {
		return exit(err)
	}
	header := http.Header{"Content-Type": nil} // otherwise Caddy's client declares JSON
	for _, f := range publishFlags {
		if fl.Changed(f.name) {
			header.Set(f.field, fl.String(f.name))
		}
	}
	path := "/parker/channels?" + url.Values{"channel": {channel}}.Encode()
	ctx, stop := untilInterrupted()
	defer stop()
	answer, err := administer(ctx, address, http.MethodPost, path, header, bytes.NewReader(message))
	if err != nil {
		return exit(err)
	}
	defer answer.Close()
	_, err = io.Copy(os.Stdout, answer)
	return exit(err)
}

// messageOf returns the message to publish, or an empty one if there is none.
func messageOf(fl caddycmd.Flags) ([]byte, error) {
	if fl.Arg(1) != "-" {
		return []byte(fl.Arg(1)), nil
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	return message, nil
}
