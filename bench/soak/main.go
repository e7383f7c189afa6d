// Command soak runs a Caddy with parker under random load from clients, publishers,
// reloads, and a backend that restarts. It checks all the time that no promise is broken.
// It prints its progress once a minute and a result at the end. The exit code is 1 if a
// promise was broken.
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
	duration := flag.Duration("duration", 5*time.Minute, "how long it runs")
	race := flag.Bool("race", false, "use the race detector, in Caddy too")
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
