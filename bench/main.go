// Command bench measures the cost and the speed of parker on this machine: the memory of
// a parked request and of a stream, the time from a publish to the first and the last
// client, the asks that the backend is spared, the processor time of a request that
// passes through, and what a released poll costs in comparison with a bare net/http
// server. It needs no other programs: it contains the clients and the backend, and starts
// itself again as the Caddy that is measured.
//
//	go run ./bench [-parked 5000] [-streams 5000] [-compared 1000] [-duration 5s] [-json]
//
// With -url it measures another server whose URL holds requests or streams events. A
// request to the URL in -publish must make that server answer all of them:
//
//	go run ./bench -url http://127.0.0.1:8088/sub -publish http://127.0.0.1:8088/pub -publish-body hello [-pid 123,124]
//
// The figures are explained in docs/bench.md. The exit code is 1 if measuring fails, 2 if
// the flags are invalid, and 130 if it is interrupted.
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
	if ok, err := serve(); ok {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: a measured server:", err)
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

// errUsage is the error for invalid flags. The reason has already been printed.
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

// run runs the command. It writes figures to out, and everything else to complaints,
// including the error that it returns.
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

// measure measures parker, or the server at -url.
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
