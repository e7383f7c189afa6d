package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/observe"
)

// options returns the global options of the Caddy that this command starts. It must neither
// take the admin address of another Caddy nor replace its saved configuration. Only this
// machine reaches it, unless an address was given.
func (a *advising) options() string {
	bind := ""
	if a.from == "" {
		bind = "\tdefault_bind 127.0.0.1\n"
	}
	return "{\n\tadmin \"" + a.admin() + "\"\n\tpersist_config off\n\tgrace_period 1s\n" + bind + "\tlog {\n\t\tlevel ERROR\n\t\tformat console\n\t}\n}\n"
}

// admin returns the address of the admin endpoint, a socket.
func (a *advising) admin() string { return "unix/" + filepath.Join(a.folder, "admin") }

// site returns the site that Caddy serves.
func (a *advising) site() advise.Site {
	site := advise.Site{Address: a.from, Upstreams: a.to}
	if site.Address == "" {
		site.Address = "http://:8080"
	}
	return site
}

// fromProxy watches the traffic of a Caddy that it starts, and prints the advice. It returns only
// if there is an error: Caddy ends the process.
func (a *advising) fromProxy() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if a.folder, err = os.MkdirTemp("", "parker"); err != nil {
		return err
	}
	if err := a.divert(); err != nil {
		return err
	}
	defer a.clean()
	if err := a.checkPort(); err != nil {
		return err
	}
	site := a.site()
	if err := start(a.options() + site.Address + " {\n\tparker_observe\n\treverse_proxy " + strings.Join(a.to, " ") + "\n}\n"); err != nil {
		return err
	}
	defer caddy.Stop()
	analysis, _, ok := observe.Current()
	if !ok {
		return errors.New("the traffic is not watched")
	}
	head := fmt.Sprintf("Listening on %s, passing everything to %s. Use the application; %s.", a.listening(), strings.Join(a.to, ", "), a.limit())
	fmt.Fprintln(a.stderr, head)
	a.watch(ctx, a.duration, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n\n", head)
		table(w, analysis.Report())
	})
	report := analysis.Report()
	if err := a.print(report, site); err != nil {
		return err
	}
	if a.apply && ctx.Err() == nil {
		return a.try(ctx, report, site)
	}
	return a.quit(func() {})
}

// clean undoes what fromProxy has done outside of Caddy.
func (a *advising) clean() {
	a.restore()
	os.RemoveAll(a.folder)
}

// quit ends Caddy as `caddy stop` does, and with it the process: only so does Caddy wait for the
// requests in progress, and parker answer the polls that are held. finally is called then.
func (a *advising) quit(finally func()) error {
	caddy.OnExit(func(context.Context) {
		finally()
		a.clean()
	})
	answer, err := caddycmd.AdminAPIRequest(a.admin(), http.MethodPost, "/stop", nil, nil)
	if err != nil {
		return fmt.Errorf("stopping Caddy: %w", err)
	}
	answer.Body.Close()
	select {} // it ends the process
}

// start runs Caddy with a Caddyfile.
func start(caddyfile string) error {
	config, err := adapted(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// checkPort returns an error if something listens at the port. Caddy would share it with another
// Caddy of the same user, and each would get a part of the requests.
func (a *advising) checkPort() error {
	port := "8080"
	if a.from != "" {
		address, err := httpcaddyfile.ParseAddress(a.listening())
		if err != nil {
			return fmt.Errorf("--from %s: %w", a.from, err)
		}
		port = cmp.Or(address.Port, map[string]string{"http": "80"}[address.Scheme], "443")
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), time.Second)
	if err != nil {
		return nil
	}
	conn.Close()
	return fmt.Errorf("port %s is in use: choose another address with --from", port)
}

// limit says how the watching ends.
func (a *advising) limit() string {
	if a.duration > 0 {
		return fmt.Sprintf("this ends after %v, or by Ctrl-C", a.duration)
	}
	return "Ctrl-C when you have seen enough"
}

// listening returns the URL to open in a browser.
func (a *advising) listening() string {
	if a.from == "" {
		return "http://localhost:8080"
	}
	address, err := httpcaddyfile.ParseAddress(a.from)
	if err != nil {
		return a.from
	}
	if address.Scheme == "" {
		address.Scheme = "https"
		if address.Host == "" || address.Port == "80" {
			address.Scheme = "http"
		}
	}
	if address.Host == "" {
		address.Host = "localhost"
	}
	return strings.TrimSuffix(address.String(), "/")
}

// redrawn is how often a table is drawn.
const redrawn = time.Second

// watch draws on the terminal until Ctrl+C, until ctx is canceled, or until the duration has
// passed, if it is not 0. If standard error is not a terminal, it only waits.
func (a *advising) watch(ctx context.Context, duration time.Duration, write func(io.Writer)) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	if a.messages == nil {
		<-ctx.Done()
		return
	}
	screen := screen{terminal: int(a.stderr.Fd()), out: a.stderr}
	defer screen.close()
	ticks := time.NewTicker(redrawn)
	defer ticks.Stop()
	for {
		screen.draw(func(w io.Writer) {
			write(w)
			a.messages.write(w)
		})
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}
