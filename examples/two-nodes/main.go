// Command two-nodes shows parker on several nodes: it starts a legacy backend in Python,
// Redis, two Caddys with node.Caddyfile, and in front of them a third Caddy that balances
// the load between them without sticky sessions. A process that is killed is restarted
// after a while. An interrupt ends all of them.
//
// Environment variables choose the ports: NODES_PORT is the balancer's (8086),
// NODES_BACKEND_PORT Python's (8087), NODES_A_PORT and NODES_B_PORT the nodes' (8088
// and 8089), NODES_A_HOOK_PORT and NODES_B_HOOK_PORT those of their hooks (9088 and
// 9089), NODES_REDIS_PORT is that of Redis (8090).
package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/caddy-parker/parker/examples/internal/run"

	_ "github.com/caddy-parker/parker/brokers/redis"
)

//go:embed Caddyfile node.Caddyfile orders.py page.html
var files embed.FS

var (
	portA     = run.Port{Variable: "NODES_A_PORT", Default: "8088"}
	portB     = run.Port{Variable: "NODES_B_PORT", Default: "8089"}
	hookPortA = run.Port{Variable: "NODES_A_HOOK_PORT", Default: "9088"}
	hookPortB = run.Port{Variable: "NODES_B_HOOK_PORT", Default: "9089"}
	redisPort = run.Port{Variable: "NODES_REDIS_PORT", Default: "8090"}
)

func main() {
	if slices.Equal(os.Args[1:], []string{nodeCommand}) {
		fmt.Fprintln(os.Stderr, "two-nodes:", beNode())
		os.Exit(1)
	}
	run.Main(run.Example{
		Name:      "two-nodes",
		Title:     "The kitchen",
		Site:      run.Port{Variable: "NODES_PORT", Default: "8086"},
		Backend:   run.Port{Variable: "NODES_BACKEND_PORT", Default: "8087"},
		Hook:      hookPortA,
		Others:    []run.Port{portA, portB, hookPortB, redisPort},
		Files:     files,
		Folder:    "NODES_FOLDER",
		Command:   python,
		Alongside: alongside,
	})
}

// python returns the command of the backend. -B keeps Python from writing compiled files.
// It also fails if there is no Redis, before anything is started.
func python(folder, _ string) (program string, args []string, err error) {
	program, noPython := run.Find("python3", "Python not found: install python3")
	_, noRedis := run.Find(redisServer, "Redis not found: install redis-server")
	return program, []string{"-B", filepath.Join(folder, "orders.py")}, errors.Join(noPython, noRedis)
}

// alongside starts Redis and the nodes.
func alongside(folder string) error {
	return supervise(
		redis(folder),
		node("A", portA, hookPortA),
		node("B", portB, hookPortB),
	)
}
