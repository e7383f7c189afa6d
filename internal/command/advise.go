package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/advise"
)

func adviseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advise [--to <address>... [--from <address>] [--for <duration>] [--apply] | --log <file>... [--to <address>] | " + addressUsage + "] [--json] [--output <file>]",
		Short: "Finds the polls in the traffic of an application, and writes a Caddyfile for them",
		Long: `
Finds the polls in the traffic of an application: which answers mean that there is nothing
new, which requests bring news, and what parker would save. Then it writes a Caddyfile, with
the evidence for each line in comments. There are three ways to show it the traffic:

With --to, it starts a Caddy of its own that passes every request on to the application.
Use the application through it, and press Ctrl+C when you have seen enough. With --for it
ends by itself. With --apply it does not end then, but goes on with the advice in force and
shows what is saved, and whether any client gets news later than without parker.

With --log, it reads access logs (Caddy's in JSON; nginx's and Apache's in the combined
format) or HAR files that a browser saved, also compressed with gzip. - is standard input.
Logs have no bodies: add --to, and the application is asked for what it answers to the polls.

Otherwise it asks the running Caddy, in which the directive parker_observe watches a site.

The advice goes to standard output, everything else to standard error. It contains names
and shapes of requests, but no cookies, credentials or values of queries.`,
		Example: `  $ caddy parker advise --to http://127.0.0.1:8000
  $ caddy parker advise --to http://127.0.0.1:8000 --from desk.example.com --for 10m --output Caddyfile
  $ caddy parker advise --log access.log --log access.log.1.gz
  $ caddy parker advise --address localhost:2019 --json`,
		Args: arguments(0, 0, "no arguments", "caddy parker advise --to http://127.0.0.1:8000"),
		RunE: caddycmd.WrapCommandFuncForCobra(runAdvise),
	}
	cmd.Flags().StringSliceP("to", "", nil, "Address of the application, as for reverse_proxy")
	cmd.Flags().StringP("from", "", "", "Address of the site to listen on (default: http://localhost:8080)")
	cmd.Flags().StringP("for", "", "", "How long to watch the traffic (default: until Ctrl+C)")
	cmd.Flags().BoolP("apply", "", false, "Go on with the advice in force, and compare")
	cmd.Flags().StringSliceP("log", "", nil, "Access log or HAR file to read; - is standard input")
	cmd.Flags().BoolP("json", "", false, "Print the advice as JSON")
	cmd.Flags().StringP("output", "o", "", "File to write the advice to; it must not exist")
	addAddressFlags(cmd)
	return cmd
}

// advising is the work of one `caddy parker advise`.
type advising struct {
	from     string   // empty: the default
	to       []string // the application
	logs     []string
	duration time.Duration // 0: until interrupted
	apply    bool
	json     bool
	output   string

	folder   string // of the sockets of the Caddy that the command starts
	stderr   *os.File
	messages *messages // of Caddy, if stderr is a terminal on which a table is drawn
}

func runAdvise(fl caddycmd.Flags) (int, error) {
	a, err := advisingOf(fl)
	if err != nil {
		return exit(err)
	}
	switch {
	case len(a.logs) > 0:
		err = a.fromLogs()
	case len(a.to) > 0:
		err = a.fromProxy()
	default:
		err = a.fromRunning(fl)
	}
	return exit(err)
}

// advisingOf reads and checks the flags.
func advisingOf(fl caddycmd.Flags) (*advising, error) {
	a := &advising{from: fl.String("from"), apply: fl.Bool("apply"), json: fl.Bool("json"), output: fl.String("output"), stderr: os.Stderr}
	var err error
	if a.to, err = fl.GetStringSlice("to"); err != nil {
		return nil, err
	}
	if a.logs, err = fl.GetStringSlice("log"); err != nil {
		return nil, err
	}
	if duration := fl.String("for"); duration != "" {
		if a.duration, err = caddy.ParseDuration(duration); err != nil || a.duration <= 0 {
			return nil, fmt.Errorf("--for %s: not a duration, such as 90s, 10m or 1d", duration)
		}
	}
	proxies := len(a.to) > 0 && len(a.logs) == 0
	for _, flag := range []string{"from", "for", "apply"} {
		if fl.Changed(flag) && !proxies {
			return nil, fmt.Errorf("--%s needs --to, and no --log: it is for the Caddy that this command starts", flag)
		}
	}
	for _, flag := range []string{"address", "config", "adapter"} {
		if fl.Changed(flag) && len(a.to)+len(a.logs) > 0 {
			return nil, fmt.Errorf("--%s is for the advice of a running Caddy, and cannot be combined with --to or --log", flag)
		}
	}
	for _, address := range append(a.to, a.from) {
		if err := checkToken(address); err != nil {
			return nil, err
		}
	}
	return a, a.checkOutput()
}

// checkOutput returns an error if the file to write to is there already: it could be the
// configuration of a running server.
func (a *advising) checkOutput() error {
	if a.output == "" {
		return nil
	}
	switch _, err := os.Lstat(a.output); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("--output: %w", err)
	}
	return fmt.Errorf("--output %s: the file exists; parker does not overwrite it", a.output)
}

// fromRunning prints the advice of a running Caddy.
func (a *advising) fromRunning(fl caddycmd.Flags) error {
	address, err := addressOf(fl)
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	body, err := administer(ctx, address, http.MethodGet, "/parker/advice", http.Header{}, nil)
	if err != nil {
		return fmt.Errorf("%w\nto watch an application that no Caddy with parker_observe serves, add --to <address>; to read a log, --log <file>", err)
	}
	defer body.Close()
	var advice admin.Advice
	if err := json.NewDecoder(body).Decode(&advice); err != nil {
		return fmt.Errorf("reading the advice: %w", err)
	}
	return a.print(advice.Report, advise.Site{})
}
