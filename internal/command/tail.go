package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/internal/eventstream"
)

func tailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   `tail <url> [--poll] [--last-event-id <position>] [--header "Field: value"]`,
		Short: "Prints the events of a URL as they come",
		Long: `
Listens to a URL as a browser does, by an event stream or with --poll by long-polls,
and prints each event on a line: its position, its type and its data, with tabs in
between. Further lines of the data begin with two tabs. Where there is no position,
a - stands for it.

When the connection is lost it comes back, and goes on from the last position. It
ends with Ctrl+C and then says that position, for --last-event-id; or when the server
refuses.`,
		Example: `  $ caddy parker tail https://example.com/messages
  $ caddy parker tail https://example.com/rooms/7 --poll -H "Cookie: session=1"`,
		Args: arguments(1, 1, "one URL", "caddy parker tail https://example.com/messages"),
		RunE: caddycmd.WrapCommandFuncForCobra(runTail),
	}
	cmd.Flags().BoolP("poll", "", false, "Listen by long-polls, not by an event stream")
	cmd.Flags().StringP("last-event-id", "", "", "Position after which to begin")
	cmd.Flags().StringArrayP("header", "H", nil, `Set a request header (format: "Field: value")`)
	return cmd
}

func runTail(fl caddycmd.Flags) (int, error) {
	target, err := url.Parse(fl.Arg(0))
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return exit(fmt.Errorf("%q: a URL with http:// or https:// is needed, such as https://example.com/messages", fl.Arg(0)))
	}
	given, err := fl.GetStringArray("header")
	if err != nil {
		return exit(err)
	}
	header, err := headerOf(given)
	if err != nil {
		return exit(err)
	}
	ctx, stop := untilInterrupted()
	defer stop()
	t := &tail{
		// A coding would hold events back.
		client:   &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true}},
		url:      target.String(),
		header:   header,
		position: fl.String("last-event-id"),
		out:      os.Stdout,
	}
	listen := t.stream
	if fl.Bool("poll") {
		listen = t.poll
	}
	err = t.keep(ctx, listen)
	if t.position != "" {
		fmt.Fprintln(os.Stderr, "to go on from here: --last-event-id", t.position)
	}
	return exit(err)
}

func headerOf(given []string) (http.Header, error) {
	header := make(http.Header)
	for _, line := range given {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf(`--header %q: a field is given as "Field: value"`, line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// tail is a client that listens to a URL.
type tail struct {
	client   *http.Client
	url      string
	header   http.Header
	position string // of the last event, or empty
	out      io.Writer

	connected bool          // the server has answered as it should
	failures  int           // in a row, since it did
	retry     time.Duration // how long it wants its clients to wait; 0: it has not said
	validator validator
	last      []byte // the last of the backend's answers that was printed
}

// Why there is no further attempt.
var (
	errEnd    = errors.New("there is nothing more to hear")
	errOutput = errors.New("printing an event")
)

// How long to wait before another attempt, if the server does not say, and at most.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// keep listens again and again. The error is what no further attempt would mend, or
// that the first failed.
func (t *tail) keep(ctx context.Context, listen func(context.Context) error) error {
	for {
		err := listen(ctx)
		switch refused, ok := errors.AsType[refusal](err); {
		case ctx.Err() != nil, errors.Is(err, errEnd):
			return nil
		case ok && !refused.passes(), errors.Is(err, errOutput), err != nil && !t.connected:
			return err
		}
		wait := t.wait()
		if err != nil {
			caddy.Log().Warn("lost the connection", zap.Error(err), zap.Duration("retry_in", wait))
		}
		t.failures++
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// wait is how long to wait before another attempt: longer each time, and not the same
// for all clients.
func (t *tail) wait() time.Duration {
	wait := firstRetry
	if t.retry > 0 {
		wait = t.retry
	}
	wait = min(wait<<min(t.failures, 10), max(wait, lastRetry))
	return wait*3/4 + rand.N(wait/4+1)
}

// refusal is an answer that brings nothing to hear.
type refusal struct {
	status int
	why    string
}

func (r refusal) Error() string { return "the server answers " + r.why }

// passes tells whether it may answer otherwise after a while.
func (r refusal) passes() bool {
	switch r.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// ask makes a request.
func (t *tail) ask(ctx context.Context, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(header, t.header)
	if t.position != "" {
		header.Set("Last-Event-ID", t.position)
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header = header
	return t.client.Do(r)
}

// print writes an event on a line of its own, and each further line of its data.
// What would make a terminal do things is written as an escape.
func (t *tail) print(event eventstream.Event) error {
	id, kind := event.ID, event.Type
	if id == "" {
		id = "-"
	}
	if kind == "" {
		kind = "message"
	}
	lines := strings.Split(anyLineEnd.Replace(string(event.Data)), "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	_, err := fmt.Fprintf(t.out, "%s\t%s\t%s\n", printable(id), printable(kind), strings.Join(lines, "\n\t\t"))
	if err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

var anyLineEnd = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func printable(text string) string {
	var safe strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&safe, `\x%02x`, text[i])
		case unicode.IsControl(r) && r != '\t':
			fmt.Fprintf(&safe, `\x%02x`, r)
		default:
			safe.WriteRune(r)
		}
	}
	return safe.String()
}
