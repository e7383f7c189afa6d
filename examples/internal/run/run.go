// Package run starts an example: its legacy backend as a process of its own, and Caddy in
// front of it.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
)

// Example describes an example.
type Example struct {
	// Name is the name of the command.
	Name string

	// Title names the site in the printed line, such as "The chat".
	Title string

	// Site, Backend and Hook are its ports on loopback.
	Site, Backend, Hook Port

	// Others are further ports that it uses.
	Others []Port

	// Files are the files that it needs, including its Caddyfile. They are copied into
	// a temporary folder.
	Files fs.FS

	// Folder is the environment variable that passes that folder to the Caddyfile.
	Folder string

	// Command returns the command of the backend. The error says what is missing.
	Command func(folder, port string) (program string, args []string, err error)

	// Alongside starts further programs once the backend runs. It may be nil.
	Alongside func(folder string) error
}

// Find returns the path of a program. If the program is not installed, the error is the
// given sentence, which says what to install.
func Find(program, sentence string) (path string, err error) {
	path, err = exec.LookPath(program)
	if err != nil {
		return "", errors.New(sentence)
	}
	return path, nil
}

// Port is a port that an environment variable can set.
type Port struct{ Variable, Default string }

// Main is the main function of an example. It runs the example until an interrupt, on which
// Caddy ends the process.
func Main(e Example) {
	err := errors.New("it takes no arguments")
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = e.run()
	case len(args) > 1 && args[0] == keepCommand:
		err = keep(args[1], args[2:])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", e.Name, err)
		os.Exit(1)
	}
}

// run starts the backend and Caddy. It returns only if one of them fails.
func (e Example) run() error {
	var inUse []error
	for _, port := range append([]Port{e.Site, e.Backend, e.Hook}, e.Others...) {
		inUse = append(inUse, port.settle())
	}
	if err := errors.Join(inUse...); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "parker-"+e.Name+"-")
	if err != nil {
		return fmt.Errorf("creating a folder for the files: %w", err)
	}
	defer os.RemoveAll(folder)
	caddy.OnExit(func(context.Context) { os.RemoveAll(folder) })
	os.Setenv(e.Folder, folder)
	if err := os.CopyFS(folder, e.Files); err != nil {
		return err
	}

	program, args, err := e.Command(folder, e.Backend.Number())
	if err != nil {
		return err
	}
	backend, err := Start(program, args...)
	if err != nil {
		return fmt.Errorf("starting the backend: %w", err)
	}
	if err := AwaitListening(e.Backend.Number(), backend.Ended); err != nil {
		return fmt.Errorf("the backend: %w", err)
	}
	if e.Alongside != nil {
		if err := e.Alongside(folder); err != nil {
			return err
		}
	}
	if err := Caddy(e.Files, "Caddyfile"); err != nil {
		return err
	}
	fmt.Printf("%s is at http://localhost:%s - Ctrl-C ends it.\n", e.Title, e.Site.Number())
	<-backend.Ended
	return errors.New("the backend has ended")
}

// settle sets the port in the environment, for the Caddyfile and the backend. It returns an
// error if the port is in use. Caddy itself would not, as it shares ports with other
// processes of the same user.
func (p Port) settle() error {
	os.Setenv(p.Variable, p.Number())
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", p.Number()))
	if err != nil {
		return fmt.Errorf("port %s cannot be used (set %s to use another): %w", p.Number(), p.Variable, err)
	}
	return listener.Close()
}

// Number returns the port number in use.
func (p Port) Number() string { return cmp.Or(os.Getenv(p.Variable), p.Default) }

// patience is how long a program may take to start.
const patience = 20 * time.Second

// AwaitListening returns when a program accepts connections at a port. It fails if ended is
// closed or if that takes too long.
func AwaitListening(port string, ended <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for tooLong := time.After(patience); ; {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("it did not start")
		case <-tooLong:
			return fmt.Errorf("it did not start within %s", patience)
		}
	}
}

// Replaced has files that take the place of those of an example with the same names, if it is
// not nil. Tests set it.
var Replaced fs.FS

// Caddy runs Caddy in this process, with one of the files as its Caddyfile. Signals end the
// process as they end Caddy, so held requests are answered first.
func Caddy(files fs.FS, name string) error {
	caddyfile, err := fs.ReadFile(files, name)
	if Replaced != nil {
		if other, missing := fs.ReadFile(Replaced, name); missing == nil {
			caddyfile = other
		}
	}
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": name})
	if err != nil {
		return err
	}
	caddy.TrapSignals()
	endWithTerminal()
	return caddy.Load(config, true)
}

// endWithTerminal ends the process when its terminal is closed, which Caddy would ignore.
func endWithTerminal() {
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGHUP)
	go func() {
		<-closed
		Terminate()
	}()
}

// Terminate ends this process as a service manager does, so that Caddy answers held
// requests first.
func Terminate() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGTERM)
	}
	if err != nil {
		os.Exit(1) // Windows has no SIGTERM
	}
}
