// Package run starts an example: its legacy backend, a process of its own, and
// Caddy in front of it.
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

// Example is what one consists of.
type Example struct {
	// Name is that of its command.
	Name string

	// Title is what is ready at the address that is printed, such as "The chat".
	Title string

	// Site, Backend and Hook are where it listens, on loopback.
	Site, Backend, Hook Port

	// Others are the ports that it uses besides.
	Others []Port

	// Files are what it needs while it runs, among them its Caddyfile. They are
	// copied into a temporary folder.
	Files fs.FS

	// Folder is the environment variable that tells the Caddyfile that folder.
	Folder string

	// Command makes the command of the backend. Its error is a sentence that says
	// what is missing.
	Command func(folder, port string) (program string, args []string, err error)

	// Alongside starts what else there is, once the backend runs. It can be nil.
	Alongside func(folder string) error
}

// Find is where a program is installed. If it is not, the error is the sentence, which
// says what to install.
func Find(program, sentence string) (path string, err error) {
	path, err = exec.LookPath(program)
	if err != nil {
		return "", errors.New(sentence)
	}
	return path, nil
}

// Port is one that can be chosen by an environment variable.
type Port struct{ Variable, Default string }

// Main is the main function of an example: it runs it until an interrupt, on which
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
		return fmt.Errorf("making a folder for the files: %w", err)
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
	return errors.New("the backend is gone")
}

// settle puts the port into the environment, for the Caddyfile and the backend,
// and tells whether nobody listens there yet: Caddy shares its ports with other
// processes of the same user, and would not complain.
func (p Port) settle() error {
	os.Setenv(p.Variable, p.Number())
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", p.Number()))
	if err != nil {
		return fmt.Errorf("port %s cannot be used (%s names another): %w", p.Number(), p.Variable, err)
	}
	return listener.Close()
}

// Number is the one that is used.
func (p Port) Number() string { return cmp.Or(os.Getenv(p.Variable), p.Default) }

// patience is how long a program may take to start.
const patience = 20 * time.Second

// AwaitListening returns when a program accepts connections at a port.
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

// Caddy runs one of the files as its Caddyfile, and has signals end the process as
// they end Caddy, so that held requests are answered first.
func Caddy(files fs.FS, name string) error {
	caddyfile, err := fs.ReadFile(files, name)
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

// endWithTerminal makes of a terminal that is closed, which Caddy ignores, what ends
// it.
func endWithTerminal() {
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGHUP)
	go func() {
		<-closed
		Terminate()
	}()
}

// Terminate ends this process as a service manager does: Caddy answers held requests
// first.
func Terminate() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGTERM)
	}
	if err != nil {
		os.Exit(1) // a process cannot be terminated so on Windows
	}
}
