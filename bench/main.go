// Command bench measures on this machine what parker costs and how fast it is: the
// memory of a parked request and of a stream, how long a publish takes to the first
// and the last of those who wait, what the backend is spared, and what a request
// costs that passes through. It needs nothing but itself: it is the clients and the
// backend, and starts itself again as the Caddy that is measured.
//
//	go run ./bench [-parked 5000] [-streams 5000] [-duration 5s] [-json]
//
// With -url it measures any other server whose URL holds requests, or streams
// events, and that -publish has send something to all of them:
//
//	go run ./bench -url http://127.0.0.1:8088/sub -publish http://127.0.0.1:8088/pub -publish-body hello [-pid 123,124]
//
// The figures are explained in docs/bench.md. It exits with 1 where it cannot
// measure, with 2 where it is asked for what does not exist, and with 130 when it is
// interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if caddyfile, ok := os.LookupEnv(caddyfileVariable); ok {
		if err := serveCaddy(caddyfile); err != nil {
			fmt.Fprintln(os.Stderr, "bench: Caddy:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		os.Exit(exitCode(err))
	}
}

// errUsage is that the command cannot be understood. The user has been told why.
var errUsage = errors.New("usage")

func exitCode(err error) int {
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, context.Canceled):
		return 130
	}
	return 1
}

// run is the command: figures go to out, all else to complaints. An error has been
// told there by the time it is returned.
func run(ctx context.Context, args []string, out, complaints io.Writer) error {
	o, err := parse(args, complaints)
	if err != nil {
		return err
	}
	bar := newProgress(complaints)
	r, err := measure(ctx, o, bar)
	bar.clear()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(complaints, "bench: interrupted")
		return context.Canceled
	case err != nil:
		fmt.Fprintln(complaints, "bench:", err)
		return err
	}
	write := r.writeTable
	if o.json {
		write = r.writeJSON
	}
	if err := write(out); err != nil {
		fmt.Fprintln(complaints, "bench: writing the figures:", err)
		return err
	}
	return nil
}

// measure measures parker, or what -url names.
func measure(ctx context.Context, o *options, bar *progress) (*report, error) {
	r := newReport(o)
	var err error
	if o.url != nil {
		err = measurePeer(ctx, o, bar, r)
	} else {
		err = measureParker(ctx, o, bar, r)
	}
	return r, err
}
