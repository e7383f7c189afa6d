package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// keepCommand is the argument with which this program keeps another.
const keepCommand = "keep"

// Process is another program that runs.
type Process struct {
	// Ended is closed when it has ended.
	Ended <-chan struct{}

	lifeline io.Closer
}

// Start runs a program until this process ends, in whatever way. A second process
// sees to that, as one that is killed can end no other. It says how the program
// ended if that ends by itself.
func Start(program string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	keeper := exec.Command(self, append([]string{keepCommand, program}, args...)...)
	keeper.Stderr = os.Stderr
	// Nothing is ever written there: it closes when this process ends.
	lifeline, err := keeper.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := keeper.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		keeper.Wait() // the keeper has said how it went
	}()
	return &Process{Ended: done, lifeline: lifeline}, nil
}

// Kill ends the program at once.
func (p *Process) Kill() { p.lifeline.Close() }

// keep runs a program until this process's standard input closes. A terminal's
// interrupt is meant for neither: Caddy may still be asking. The error says that
// the program has ended by itself, and what it said until then.
func keep(program string, args []string) error {
	// Not ignored, as the program would inherit that.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGHUP, syscall.SIGTERM)
	command := exec.Command(program, args...)
	var said bytes.Buffer
	command.Stderr = &said
	command.SysProcAttr = apart
	if err := command.Start(); err != nil {
		return err
	}
	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(closed)
		command.Process.Kill()
	}()
	command.Wait()
	select {
	case <-closed:
		return nil
	default:
		return fmt.Errorf("%s ended: %s\n%s", filepath.Base(program), command.ProcessState, &said)
	}
}
