// Package runtest runs an example for its tests, as a process of its own on free
// ports.
package runtest

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/run"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// isExample is the environment variable that makes a test binary run the example.
const isExample = "PARKER_TEST_IS_EXAMPLE"

// Main runs the tests, or the example if isExample is set. Call it from TestMain.
func Main(m *testing.M, main func()) {
	if os.Getenv(isExample) != "" {
		if folder := os.Getenv(caddyfiles); folder != "" {
			run.Replaced = os.DirFS(folder)
		}
		main()
		return
	}
	caddytest.Main(m)
}

// Example is a running example.
type Example struct {
	// Address is the URL of the site without a path.
	Address string

	// BackendPort and HookPort are the ports of the backend and the hook.
	BackendPort, HookPort string

	// OtherPorts are the other ports by environment variable.
	OtherPorts map[string]string

	// Command is the process of the example.
	Command *exec.Cmd

	t          *testing.T
	folder     string       // for its temporary files
	complaints bytes.Buffer // its standard error; read only after it has ended
}

// Ports are the environment variables that set the ports of an example.
type Ports struct {
	Site, Backend, Hook string
	Others              []string
}

// Start runs an example until the test ends, and returns when it has printed its address.
func Start(t *testing.T, ports Ports) *Example {
	t.Helper()
	caddytest.SkipShort(t)
	e := prepare(t, ports)
	output, err := e.Command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Command.Process.Kill()
		e.Command.Wait()
		if t.Failed() {
			t.Logf("it complained: %s", &e.complaints)
		}
	})
	if line, _ := bufio.NewReader(output).ReadString('\n'); !strings.Contains(line, e.Address) {
		t.Fatalf("it says %q, want %s in it", line, e.Address)
	}
	return e
}

// Complaints runs an example that must fail and returns its error output. Settings are
// environment variables that take precedence.
func Complaints(t *testing.T, ports Ports, settings ...string) string {
	t.Helper()
	e := prepare(t, ports)
	e.Command.Env = append(e.Command.Env, settings...)
	if err := e.Command.Run(); err == nil {
		t.Errorf("it ran with %v", settings)
	}
	return e.complaints.String()
}

func prepare(t *testing.T, ports Ports) *Example {
	port := freePort(t)
	e := &Example{
		Address:     "http://localhost:" + port,
		BackendPort: freePort(t),
		HookPort:    freePort(t),
		OtherPorts:  make(map[string]string),
		Command:     exec.Command(os.Args[0]),
		t:           t,
		folder:      t.TempDir(),
	}
	e.Command.Stderr = &e.complaints
	e.Command.Env = append(os.Environ(), isExample+"=1",
		ports.Site+"="+port, ports.Backend+"="+e.BackendPort, ports.Hook+"="+e.HookPort,
		"TMPDIR="+e.folder, "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	for _, variable := range ports.Others {
		e.OtherPorts[variable] = freePort(t)
		e.Command.Env = append(e.Command.Env, variable+"="+e.OtherPorts[variable])
	}
	return e
}

// freePort returns a port that stays free while a part of the example is restarted.
func freePort(t *testing.T) string { return strconv.Itoa(caddytest.LastingPort(t)) }

// Interrupt ends the example as a terminal would. It fails the test unless the example ends
// soon, without error output and without leaving files behind.
func (e *Example) Interrupt() {
	e.t.Helper()
	if runtime.GOOS == "windows" {
		e.t.Skip("a process cannot be interrupted by another")
	}
	if err := e.Command.Process.Signal(os.Interrupt); err != nil {
		e.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Command.Wait() }()
	if err := Within(e.t, "ending", ended); err != nil {
		e.t.Errorf("it ended with %v", err)
	}
	e.BackendEnds()
	if e.complaints.Len() > 0 {
		e.t.Errorf("it complained: %s", &e.complaints)
	}
	if left, err := os.ReadDir(e.folder); err != nil || len(left) > 0 {
		e.t.Errorf("it left %v behind, %v", left, err)
	}
}

// BackendEnds returns when the backend no longer listens.
func (e *Example) BackendEnds() {
	e.t.Helper()
	Eventually(e.t, "the backend has ended", func() bool {
		connection, err := net.Dial("tcp", "127.0.0.1:"+e.BackendPort)
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
}

// patience is how long a test waits for something on a busy machine. It is less than the
// time for which any example holds requests.
const patience = 20 * time.Second

// Eventually returns when the condition holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tooLong := time.After(patience)
	for tick := time.Tick(10 * time.Millisecond); !holds(); {
		select {
		case <-tick:
		case <-tooLong:
			t.Fatal("timed out waiting until " + what)
		}
	}
}

// Within returns the next value of a channel, and fails the test if that takes too long.
func Within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case value := <-c:
		return value
	case <-time.After(patience):
		t.Fatalf("%s took more than %v", what, patience)
		panic("unreachable")
	}
}
