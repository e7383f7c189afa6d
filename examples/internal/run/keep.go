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

// keepCommand is the argument that makes this program run and watch another one.
const keepCommand = "keep"

// Process is a started program.
type Process struct {
	// Ended is closed when the program has ended.
	Ended <-chan struct{}

	lifeline io.Closer
}

// Start runs a program until this process ends, even if this process is killed. A second
// process ensures that. It prints how the program ended if that ends by itself.
func Start(program string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	keeper := exec.Command(self, append([]string{keepCommand, program}, args...)...)
	keeper.Stderr = os.Stderr
	// Nothing is written to it. The system closes it when this process ends.
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
		keeper.Wait() // the keeper prints its own errors
	}()
	return &Process{Ended: done, lifeline: lifeline}, nil
}

// Kill ends the program at once.
func (p *Process) Kill() { p.lifeline.Close() }

// keep runs a program until the standard input of this process is closed. Both ignore an
// interrupt from the terminal, as Caddy may still send requests. If the program ends by
// itself, the error has its exit status and its error output.
func keep(program string, args []string) error {
	// Caught but not ignored, because the program would inherit ignored signals.
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
