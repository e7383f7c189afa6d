package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/advise"
)

// print writes the advice for what a report shows, after checking that Caddy loads it.
func (a *advising) print(report advise.Report, site advise.Site) error {
	text := advise.Caddyfile(report, site)
	if text != "" {
		if err := check(text); err != nil {
			return fmt.Errorf("the advice is not a configuration that Caddy loads, which is a mistake of parker: %w\n%s", err, text)
		}
	}
	for _, note := range advise.Notes(report) {
		fmt.Fprintln(a.stderr, "No advice for", note)
	}
	if len(report.Polls) == 0 {
		fmt.Fprintf(a.stderr, "No poll was found in %s requests.\n", comma(report.Requests))
	}
	advice := []byte(text)
	if a.json {
		var err error
		if advice, err = json.MarshalIndent(admin.Advice{Report: report, Caddyfile: text}, "", "\t"); err != nil {
			return err
		}
		advice = append(advice, '\n')
	}
	if a.output == "" || len(advice) == 0 {
		_, err := os.Stdout.Write(advice)
		return err
	}
	if err := writeNew(a.output, advice); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	fmt.Fprintf(a.stderr, "The advice is in %s.\n", a.output)
	return nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// adapted returns the JSON form of a Caddyfile.
func adapted(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// check reports, as an error, why Caddy does not load a Caddyfile. It starts nothing.
func check(caddyfile string) error {
	config, err := adapted(caddyfile)
	if err != nil {
		return err
	}
	var parsed caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
		return err
	}
	parsed.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(false)}}
	parsed.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
	return caddy.Validate(&parsed)
}

// checkToken returns an error if an address from the command line would not be one token of
// a Caddyfile.
func checkToken(address string) error {
	if strings.ContainsAny(address, " \t\r\n\"`{}#") {
		return fmt.Errorf("%q is not an address", address)
	}
	return nil
}

// table writes the polls of a report as a table.
func table(w io.Writer, report advise.Report) {
	const row = "  %-44s %9s %8s %9s %10s   %s\n"
	fmt.Fprintf(w, row, "polls", "clients", "every", "asks", "the same", "changed after")
	for i := range report.Polls {
		p := &report.Polls[i]
		fmt.Fprintf(w, row, shortened(p.Title(), 44), comma(p.Clients), p.Interval(), comma(p.Asks), percent(p.Same, p.Asks), p.ChangedAfter())
	}
	if len(report.Polls) == 0 {
		fmt.Fprintln(w, "  none yet")
	}
}

// shortened returns a text that is at most width characters long.
func shortened(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

func percent(part, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(of))
}
