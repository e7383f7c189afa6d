package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/status"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--once] " + addressUsage,
		Short: "Shows parked requests, releases, and the busiest channels",
		Long: `
Shows how many requests are parked and how many streams are open, how many requests
are released per second, how many asks are sent to the backend and how many are saved by
sharing, how long clients waited for each ask in the last five minutes, the state of the
broker, and the channels with the most waiting requests. If the rule unchanged is used,
it also shows how many polls are held because of it and how many are not held because
nothing is known of their client, how many answers are remembered, and how many page loads
were seen.

On a terminal the figures are updated each second until you press Ctrl+C. With --once,
or if the output is not a terminal, they are printed once.`,
		Args: arguments(0, 0, "no arguments", "caddy parker status --address localhost:2019"),
		RunE: caddycmd.WrapCommandFuncForCobra(runStatus),
	}
	cmd.Flags().BoolP("once", "", false, "Print the figures once")
	addAddressFlags(cmd)
	return cmd
}

func runStatus(fl caddycmd.Flags) (int, error) {
	address, err := addressOf(fl)
	if err != nil {
		return exit(err)
	}
	ctx, stop := untilInterrupted()
	defer stop()
	figures := &figures{address: address}
	if terminal := int(os.Stdout.Fd()); !fl.Bool("once") && term.IsTerminal(terminal) {
		err = live(ctx, figures, terminal)
	} else {
		err = once(ctx, figures)
	}
	if err == nil && !figures.now.IsZero() {
		figures.write(os.Stdout)
	}
	return exit(err)
}

// once returns as soon as there are figures, or if there is an error before.
func once(ctx context.Context, f *figures) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	err := f.follow(ctx, enough)
	if !f.now.IsZero() {
		return nil
	}
	return err
}

// live draws the figures on a terminal until ctx is canceled. It returns an error only
// if there never were any figures.
func live(ctx context.Context, f *figures, terminal int) error {
	screen := screen{terminal: terminal, out: os.Stdout}
	defer screen.close()
	draw := func() { screen.draw(f.write) }
	for {
		err := f.follow(ctx, draw)
		switch {
		case ctx.Err() != nil:
			return nil
		case f.now.IsZero():
			return err
		}
		f.trouble = err
		draw()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// figures holds the figures that were received from Caddy.
type figures struct {
	address string

	past    []status.Sample // oldest first, including the newest
	newest  status.Now
	now     time.Time // when newest was received, or zero
	trouble error     // why no more figures are received, or nil
}

// remembered is the maximum number of samples in past.
const remembered = 300

// errEnded is the error if Caddy has ended the stream of figures.
var errEnded = errors.New("no more figures: Caddy is stopping or reloading")

// follow receives figures and calls changed for each, until ctx is canceled or Caddy
// ends the stream.
func (f *figures) follow(ctx context.Context, changed func()) error {
	header := http.Header{"Accept": {eventstream.MediaType}}
	body, err := administer(ctx, f.address, http.MethodGet, "/parker/status", header, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for events := eventstream.NewReader(body); ; {
		event, err := events.Next()
		if errors.Is(err, io.EOF) {
			return errEnded
		}
		if err != nil {
			return fmt.Errorf("reading the figures: %w", err)
		}
		if err := f.take(event.Type, event.Data); err != nil {
			return fmt.Errorf("reading the figures: %w", err)
		}
		if event.Type == status.NowEvent {
			changed()
		}
	}
}

func (f *figures) take(event string, data []byte) error {
	switch event {
	case status.PastEvent:
		f.past = nil
		return json.Unmarshal(data, &f.past)
	case status.NowEvent:
		f.newest = status.Now{}
		if err := json.Unmarshal(data, &f.newest); err != nil {
			return err
		}
		f.now, f.trouble = time.Now(), nil
		f.past = append(f.past, f.newest.Sample)
		f.past = f.past[max(len(f.past)-remembered, 0):]
	}
	return nil
}
