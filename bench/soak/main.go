// Command soak has clients, publishers, an operator who reloads, and a backend that
// restarts do all they can to a Caddy with parker in it, at random, and looks
// throughout for a promise that is broken. It tells once a minute how it goes,
// and at the end what came of it: it exits with 1 if a promise was broken.
//
//	go run ./bench/soak [-duration 5m] [-race]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"
)

func main() {
	duration := flag.Duration("duration", 5*time.Minute, "how long it goes on")
	race := flag.Bool("race", false, "with the race detector, in Caddy too")
	flag.Parse()
	args := []string{"test", "-v", "-count=1", "-run", "^TestSoak$", "-timeout", (*duration + 10*time.Minute).String()}
	if *race {
		args = append(args, "-race")
	}
	test := exec.Command("go", append(args, "github.com/caddy-parker/parker/bench/soak", "-duration", duration.String())...)
	test.Stdout, test.Stderr = os.Stdout, os.Stderr
	if err := test.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
