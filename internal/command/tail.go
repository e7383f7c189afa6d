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
		Short: "Prints the events of a URL as they arrive",
		Long: `
Follows a URL as a browser does, with an event stream or, with --poll, with long-polls.
Each event is printed on a line with its position, its type and its data, separated by
tabs. Further lines of the data begin with two tabs. If an event has no position, - is
printed instead.

If the connection is lost, tail reconnects and continues from the last position. It ends
when you press Ctrl+C, or when the server refuses the request. Then it prints the last
position, for --last-event-id.`,
		Example: `  $ caddy parker tail https://example.com/messages
  $ caddy parker tail https://example.com/rooms/7 --poll -H "Cookie: session=1"`,
		Args: arguments(1, 1, "one URL", "caddy parker tail https://example.com/messages"),
		RunE: caddycmd.WrapCommandFuncForCobra(runTail),
	}
	cmd.Flags().BoolP("poll", "", false, "Use long-polls instead of an event stream")
	cmd.Flags().StringP("last-event-id", "", "", "Position after which to start")
	cmd.Flags().StringArrayP("header", "H", nil, `Set a request header (format: "Field: value")`)
	return cmd
}

func runTail(fl caddycmd.Flags) (int, error) {
	target, err := url.Parse(fl.Arg(0))
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return exit(fmt.Errorf("%q: must be a URL with http:// or https://, such as https://example.com/messages", fl.Arg(0)))
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
		// With compression, servers may delay events.
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
		fmt.Fprintln(os.Stderr, "to continue from here: --last-event-id", t.position)
	}
	return exit(err)
}

func headerOf(given []string) (http.Header, error) {
	header := make(http.Header)
	for _, line := range given {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf(`--header %q: must have the form "Field: value"`, line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// tail is a client that follows a URL.
type tail struct {
	client   *http.Client
	url      string
	header   http.Header
	position string // the position of the last event, or empty
	out      io.Writer

	connected bool          // the server has answered correctly at least once
	failures  int           // attempts since the last correct answer
	retry     time.Duration // the reconnection time that the server has set, or 0
	validator validator
	last      []byte // the last answer of the backend that was printed
}

// Errors after which there is no further attempt.
var (
	errEnd    = errors.New("the server has ended the stream for good")
	errOutput = errors.New("printing an event")
)

// The time before the second attempt, unless the server has set one, and the longest
// time between two attempts.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// keep calls listen again and again until ctx is canceled. It returns an error if the
// first attempt fails, or if another attempt would not help.
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

// wait returns the time before the next attempt. It doubles with each failure, up to a
// limit, and is shortened at random by up to a quarter, so that clients do not reconnect
// together.
func (t *tail) wait() time.Duration {
	wait := firstRetry
	if t.retry > 0 {
		wait = t.retry
	}
	wait = min(wait<<min(t.failures, 10), max(wait, lastRetry))
	return wait*3/4 + rand.N(wait/4+1)
}

// refusal is the error for an answer without events.
type refusal struct {
	status int
	why    string
}

func (r refusal) Error() string { return "the server answered " + r.why }

// passes reports whether the server may accept the request later.
func (r refusal) passes() bool {
	switch r.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// ask sends a request.
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

// print prints an event on a line, followed by the further lines of its data. Control
// characters are escaped, because a terminal would execute them.
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
