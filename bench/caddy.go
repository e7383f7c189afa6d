package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
)

// caddyfileVariable is the environment variable that makes this program run as the Caddy
// that is measured. It contains the Caddyfile.
const caddyfileVariable = "PARKER_BENCH_CADDYFILE"

// globalOptions are the global options of each Caddy that is measured. They turn off
// everything that is not measured.
const globalOptions = `
	admin off
	persist_config off
	storage_clean_interval off
	log {
		level ERROR
	}
`

// serveCaddy runs this program as Caddy until its standard input ends. It first prints
// its addresses. For each line that it reads, it returns unused memory to the system and
// prints a line.
func serveCaddy(caddyfile string) error {
	// An interrupt from the terminal is handled by the process that measures.
	signal.Ignore(os.Interrupt)
	err := loadCaddy(caddyfile)
	for tries := 1; err != nil && tries < 5; tries++ { // another program may have taken a port
		err = loadCaddy(caddyfile)
	}
	if err != nil {
		return err
	}
	fmt.Println(os.Getenv("SITE"), os.Getenv("HOOK"))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for range 3 { // each collection shrinks stacks by half
			runtime.GC()
		}
		debug.FreeOSMemory()
		fmt.Println("done")
	}
	return nil
}

// loadCaddy loads the Caddyfile, in which {$SITE} and {$HOOK} stand for free loopback
// addresses.
func loadCaddy(caddyfile string) error {
	if err := chooseAddresses("SITE", "HOOK"); err != nil {
		return fmt.Errorf("finding a free port: %w", err)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// chooseAddresses sets environment variables to free loopback addresses.
func chooseAddresses(variables ...string) error {
	for _, name := range variables {
		// Caddy listens on all interfaces, so the port must be free on all of them.
		listener, err := net.Listen("tcp", ":0")
		if err != nil {
			return err
		}
		// Each listener stays open until the last port is found, so that no port is
		// found twice.
		defer listener.Close()
		os.Setenv(name, fmt.Sprint("127.0.0.1:", listener.Addr().(*net.TCPAddr).Port))
	}
	return nil
}

// process is a Caddy that is measured.
type process struct {
	pid        int
	site, hook string // its addresses

	command *exec.Cmd
	say     io.WriteCloser // its standard input; the process ends when it is closed
	hear    *bufio.Scanner // its standard output
	folder  string         // its folder for data and configuration
}

// startCaddy starts this program again as a Caddy with the Caddyfile, and returns when it
// serves. It is killed when ctx is canceled.
func startCaddy(ctx context.Context, caddyfile string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "parker-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for Caddy: %w", err)
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), caddyfileVariable+"="+caddyfile, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder, "HOME="+folder)
	command.Stderr = os.Stderr
	say, noInput := command.StdinPipe()
	hear, noOutput := command.StdoutPipe()
	if err := errors.Join(noInput, noOutput, command.Start()); err != nil {
		os.RemoveAll(folder)
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	p := &process{pid: command.Process.Pid, command: command, say: say, hear: bufio.NewScanner(hear), folder: folder}
	p.hear.Scan()
	if _, err := fmt.Sscan(p.hear.Text(), &p.site, &p.hook); err != nil {
		p.stop()
		return nil, errors.New("starting Caddy: the process has ended")
	}
	return p, nil
}

// memory makes the process return unused memory, and returns its resident memory in
// bytes.
func (p *process) memory() (int64, error) {
	if _, err := io.WriteString(p.say, "\n"); err != nil || !p.hear.Scan() {
		return 0, errors.New("measuring the memory of Caddy: the process has ended")
	}
	return residentMemory(p.pid)
}

// stop ends the process and all its connections.
func (p *process) stop() {
	p.say.Close()
	p.command.Wait()
	os.RemoveAll(p.folder)
}
