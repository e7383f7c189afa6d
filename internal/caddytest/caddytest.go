// Package caddytest runs a real Caddy with parker as a separate process, for tests from
// outside. It also has clients, backends and servers for such tests.
package caddytest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for something that must happen. It is long enough
// that a busy machine does not fail the test.
const Patience = 20 * time.Second

// binary is the Caddy that PARKER_CADDY names, so that the tests of many packages need
// not build one each. Without the variable, Caddy is built once per test process, with
// the race detector if the test uses it.
var binary = sync.OnceValues(func() (path string, err error) {
	if path := os.Getenv("PARKER_CADDY"); path != "" {
		return path, nil
	}
	if built, err = os.MkdirTemp("", "parker-caddy-"); err != nil {
		return "", err
	}
	path = filepath.Join(built, "caddy")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/caddy-parker/parker/cmd/caddy")...)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, output)
	}
	return path, nil
})

// built is the folder of the Caddy that was built, if one was.
var built string

// Main runs the tests of a package and removes the Caddy binary that they built. Call
// it from TestMain. Unless -parallel is set, more tests run at once than there are
// processors, because most of the time they wait for timeouts and for servers to start.
func Main(m *testing.M) {
	flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	flag.Parse()
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// AlsoShort is set by a package whose tests start programs with -short, too.
var AlsoShort bool

// SkipShort skips a test that starts programs, or takes long by nature, if only short tests
// are run.
func SkipShort(t testing.TB) {
	t.Helper()
	if testing.Short() && !AlsoShort {
		t.Skip("it starts programs or takes long: run it without -short")
	}
}

// Caddy is a running Caddy.
type Caddy struct {
	// Site and Hook are the addresses, host and port, that Caddyfiles know as
	// {$SITE} and {$HOOK}.
	Site, Hook string

	// Stderr has what Caddy has logged.
	Stderr *Log

	process *exec.Cmd
	ended   chan error
	hooked  bool // the Caddyfile serves Hook
	admin   string
	config  string
	env     []string
}

// Start runs Caddy with the Caddyfile until the test ends. In the Caddyfile, {$SITE}
// and {$HOOK} stand for addresses of this Caddy and {$BACKEND} for the given backend;
// more variables can be given as NAME=value. A block of global options must contain
// {$GLOBAL}; if there is no such block, Start adds one.
func Start(t testing.TB, caddyfile, backend string, env ...string) *Caddy {
	t.Helper()
	c := prepare(t, caddyfile, backend, env)
	c.run(t, "--config", c.config, "--adapter", "caddyfile")
	return c
}

// prepare stores the Caddyfile and finds free addresses for it.
func prepare(t testing.TB, caddyfile, backend string, env []string) *Caddy {
	t.Helper()
	SkipShort(t)
	dir := t.TempDir()
	c := &Caddy{Stderr: new(Log), ended: make(chan error, 1)}
	ports := FreePorts(t, 2)
	c.Site, c.Hook = ports[0], ports[1]
	// Socket paths must be short, and those of test directories may not be.
	socket, err := os.MkdirTemp("", "pk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(socket) })
	c.admin = "unix/" + filepath.Join(socket, "admin")
	c.config = filepath.Join(dir, "Caddyfile")
	c.env = append(append(os.Environ(),
		"SITE="+c.Site, "HOOK="+c.Hook, "BACKEND="+backend,
		"XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "HOME="+dir,
		"GLOBAL=", "GORACE=halt_on_error=0"), env...)
	c.write(t, caddyfile)
	c.hooked = strings.Contains(caddyfile, "{$HOOK}")
	return c
}

// run starts the process and returns when it serves the site, and the hook if there is
// one.
func (c *Caddy) run(t testing.TB, args ...string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c.process = exec.Command(path, append([]string{"run"}, args...)...)
	c.process.Env = c.env
	c.process.Stderr = c.Stderr
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.process.Wait() }()
	t.Cleanup(func() { c.cleanup(t) })
	c.awaitServing(t, c.Site)
	if c.hooked {
		c.awaitServing(t, c.Hook)
	}
}

// write stores a Caddyfile with the global options that tests need.
func (c *Caddy) write(t testing.TB, caddyfile string) {
	t.Helper()
	global := "admin " + strings.Replace(c.admin, "unix/", "unix//", 1) + "\n\tauto_https disable_redirects\n\tskip_install_trust\n\tlocal_certs\n\tstorage_clean_interval off\n"
	if strings.Contains(caddyfile, "{$GLOBAL}") {
		caddyfile = strings.Replace(caddyfile, "{$GLOBAL}", global, 1)
	} else {
		caddyfile = "{\n\t" + global + "}\n" + caddyfile
	}
	if err := os.WriteFile(c.config, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Reload loads another Caddyfile with `caddy reload`.
func (c *Caddy) Reload(t testing.TB, caddyfile string) {
	t.Helper()
	c.write(t, caddyfile)
	path, _ := binary()
	reload := exec.Command(path, "reload", "--config", c.config, "--adapter", "caddyfile", "--address", strings.Replace(c.admin, "unix/", "unix//", 1))
	reload.Env = c.env
	if output, err := reload.CombinedOutput(); err != nil {
		t.Fatalf("reloading: %v\n%s", err, output)
	}
}

// Stop stops Caddy as a supervisor would, and returns how long that took.
func (c *Caddy) Stop(t testing.TB) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := c.process.Process.Signal(syscall.SIGTERM); err != nil {
		return 0 // it has already ended
	}
	select {
	case <-c.ended:
		c.ended <- nil
	case <-time.After(Patience):
		c.process.Process.Signal(syscall.SIGQUIT)
		<-c.ended
		c.ended <- nil
		t.Errorf("Caddy did not stop:\n%s", c.Stderr)
	}
	return time.Since(begin)
}

// Pid returns the process ID.
func (c *Caddy) Pid() int { return c.process.Process.Pid }

func (c *Caddy) cleanup(t testing.TB) {
	c.Stop(t)
	log := c.Stderr.String()
	for _, fault := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "runtime error: "} {
		if strings.Contains(log, fault) {
			t.Errorf("Caddy's log contains %q:\n%s", fault, log)
		}
	}
	if t.Failed() && testing.Verbose() {
		t.Logf("Caddy's log:\n%s", log)
	}
}

func (c *Caddy) awaitServing(t testing.TB, address string) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for time.Now().Before(deadline) {
		select {
		case err := <-c.ended:
			c.ended <- err
			t.Fatalf("Caddy ended: %v\n%s", err, c.Stderr)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		<-time.After(2 * time.Millisecond)
	}
	t.Fatalf("Caddy does not serve %s\n%s", address, c.Stderr)
}

// Publish posts to the hook and returns the body of the answer.
func (c *Caddy) Publish(t testing.TB, channel, contentType, body string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Hook+"/"+channel, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("publishing: %v\n%s", err, c.Stderr)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(answer.Body)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("publishing: %s %s", answer.Status, &text)
	}
	return strings.TrimSpace(text.String())
}

// Log collects the output of a process.
type Log struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all output so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
