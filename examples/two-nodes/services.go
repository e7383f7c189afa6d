package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/caddy-parker/parker/examples/internal/run"
)

// service is a program that the supervisor keeps running.
type service struct {
	name string

	// start starts the program and returns when it is ready.
	start func() (instance, error)

	// ask returns the state of the service.
	ask func() state
}

// instance is one run of a service.
type instance struct {
	// kill ends it at once. stop lets it answer waiting requests first.
	kill, stop func()

	ended <-chan struct{}
}

// state is the state of a service.
type state struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`

	// Polls and Streams count the waiting requests of a node.
	Polls   int `json:"polls"`
	Streams int `json:"streams"`
}

const redisServer = "redis-server"

// redis stores its data in a file, as a broker should. Otherwise waiting requests are told
// after a restart that events may be lost.
func redis(folder string) service {
	port := redisPort.Number()
	return service{
		name: "Redis",
		start: func() (instance, error) {
			directory := filepath.Join(folder, "redis")
			if err := os.MkdirAll(directory, 0o700); err != nil {
				return instance{}, err
			}
			process, err := run.Start(redisServer, "--port", port, "--bind", "127.0.0.1", "--dir", directory, "--appendonly", "yes", "--save", "")
			if err != nil {
				return instance{}, err
			}
			nobodyWaits := func() {} // Redis ends with this process, after the nodes
			return instance{kill: process.Kill, stop: nobodyWaits, ended: process.Ended}, run.AwaitListening(port, process.Ended)
		},
		ask: func() state {
			connection, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), patience)
			if err == nil {
				connection.Close()
			}
			return state{Up: err == nil}
		},
	}
}

// nodeCommand is the argument that makes this program run a node.
const nodeCommand = "node"

func node(name string, port, hookPort run.Port) service {
	return service{
		name: name,
		start: func() (instance, error) {
			self, err := os.Executable()
			if err != nil {
				return instance{}, err
			}
			command := exec.Command(self, nodeCommand)
			command.Env = append(os.Environ(), "NODE="+name, "NODE_PORT="+port.Number(), "NODE_HOOK_PORT="+hookPort.Number())
			command.Stderr = os.Stderr
			// Nothing is written to it. The node ends when it is closed.
			lifeline, err := command.StdinPipe()
			if err != nil {
				return instance{}, err
			}
			if err := command.Start(); err != nil {
				return instance{}, err
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				command.Wait()
			}()
			return instance{
				kill:  func() { command.Process.Kill() },
				stop:  func() { lifeline.Close() },
				ended: ended,
			}, run.AwaitListening(port.Number(), ended)
		},
		ask: func() state { return askHook(hookPort.Number()) },
	}
}

// beNode runs Caddy as a node until the standard input is closed. It returns only if Caddy
// cannot start.
func beNode() error {
	if err := run.Caddy(files, "node.Caddyfile"); err != nil {
		return fmt.Errorf("node %s: %w", os.Getenv("NODE"), err)
	}
	io.Copy(io.Discard, os.Stdin)
	run.Terminate()
	select {}
}

// patience is how long a service may take to report its state.
const patience = 300 * time.Millisecond

// askHook asks a node's hook how many requests wait for orders.
func askHook(port string) state {
	client := http.Client{Timeout: patience}
	answer, err := client.Get("http://" + net.JoinHostPort("127.0.0.1", port) + "/orders")
	if err != nil {
		return state{}
	}
	defer answer.Body.Close()
	var count struct{ Waiting, Streams int }
	err = json.NewDecoder(answer.Body).Decode(&count)
	return state{Up: err == nil, Polls: count.Waiting, Streams: count.Streams}
}
