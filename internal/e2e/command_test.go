package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// parker runs `caddy parker` until it exits.
func parker(t *testing.T, c *caddytest.Caddy, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	command := c.Command(t, append([]string{"parker"}, args...)...)
	var out, err bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &err
	if e := command.Run(); e != nil {
		exit, ok := errors.AsType[*exec.ExitError](e)
		if !ok {
			t.Fatal(e)
		}
		code = exit.ExitCode()
	}
	return out.String(), err.String(), code
}

func nothingNew(t *testing.T) string {
	return caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func TestCommandStatusShowsWaitingRequests(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, nothingNew(t))
	for range 3 {
		caddytest.Get(t.Context(), "http://"+caddy.Site+"/rooms/7")
	}
	caddytest.Listen(t, "http://"+caddy.Site+"/rooms/8")
	caddy.AwaitWaiting(t, "everybody", 3)
	caddytest.Await(t, "the stream is open", func() bool { return figures(t, caddy)[`parker_open_streams{handler="feed"}`] == 1 })
	for _, where := range [][]string{{"--address", caddy.Admin()}, {"--config", caddy.Config(), "--adapter", "caddyfile"}} {
		stdout, stderr, code := parker(t, caddy, "", append([]string{"status", "--once"}, where...)...)
		for _, line := range []string{
			`(?m)^ +3 +1 +2 +0 +0 +0 +> 4\.0 s$`,
			`(?m)^broker reachable, 0\.0 s behind, 0 events waiting to be sent, history 0 B$`,
			`(?m)^ +3 +1   everybody\n +3 +0   /rooms/7\n +0 +1   /rooms/8$`,
		} {
			if code != 0 || !regexp.MustCompile(line).MatchString(stdout) {
				t.Errorf("%v: code %d, %s has no line %s\n%s", where, code, stdout, line, stderr)
			}
		}
	}
}

func TestCommandStatusFailsWithoutParker(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, "http://{$SITE} {\n\trespond hello\n}", "")
	if _, stderr, code := parker(t, caddy, "", "status", "--address", caddy.Admin()); code != 1 || !strings.Contains(stderr, "parker is not configured") {
		t.Errorf("without parker: code %d, %s", code, stderr)
	}
	nobody := caddytest.FreePorts(t, 1)[0]
	if _, stderr, code := parker(t, caddy, "", "status", "--address", nobody); code != 1 || !strings.Contains(stderr, "connection refused") {
		t.Errorf("without Caddy: code %d, %s", code, stderr)
	}
}

// terminal returns a pseudo-terminal for a program to write to, and a log of what it
// writes.
func terminal(t *testing.T) (program *os.File, written *caddytest.Log) {
	t.Helper()
	keeper, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { keeper.Close() })
	unlocked := 0
	if err := unix.IoctlSetPointerInt(int(keeper.Fd()), unix.TIOCSPTLCK, unlocked); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keeper.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	written = new(caddytest.Log)
	go io.Copy(written, keeper)
	return program, written
}

func TestCommandStatusRedrawsThroughReloadsAndRestarts(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, nothingNew(t))
	program, written := terminal(t)
	command := caddy.Command(t, "parker", "status", "--address", caddy.Admin())
	command.Stdout = program
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	shows := func(line string) func() bool {
		pattern := regexp.MustCompile(line)
		return func() bool {
			screens := strings.Split(written.String(), "\x1b[H")
			return pattern.MatchString(screens[len(screens)-1])
		}
	}
	caddytest.Await(t, "the table is drawn", shows(`PARKED.*CHANNEL`+"\x1b"))
	caddytest.Get(t.Context(), "http://"+caddy.Site+"/rooms/7")
	caddytest.Await(t, "it is drawn anew", shows(`1 +0   everybody`))
	caddy.MustLoad(t, strings.Replace(operated, "name feed", "name feed\n\t\ttimeout 30s", 1))
	caddytest.Get(t.Context(), "http://"+caddy.Site+"/rooms/8")
	caddytest.Await(t, "it goes on after a reload", shows(`2 +0   everybody`))
	caddy.Stop(t)
	caddytest.Await(t, "it says that Caddy is gone", shows(`  -  performing request: .* no such file|  -  performing request: .* refused`))
	caddy.Again(t)
	caddytest.Await(t, "it goes on after a restart", shows(`CHANNEL`+"\x1b"))
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the command ended with %v", err)
	}
	caddytest.Await(t, "the terminal is as it was", func() bool { return strings.Contains(written.String(), "\x1b[?1049lparker at ") })
}

func TestCommandPublishMatchesHook(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, nothingNew(t))
	publish := func(input string, args ...string) (answer, trouble string, code int) {
		return parker(t, caddy, input, append([]string{"publish", "--address", caddy.Admin()}, args...)...)
	}
	const channel = "a//b?c=%41&d ü"
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/%61/%2Fb%3Fc=%2541&d%20%C3%BC")
	caddytest.Await(t, "the stream is open", func() bool {
		var channels admin.Channels
		administer(t, caddy, http.MethodGet, "/parker/channels", http.StatusOK, &channels)
		return len(channels.Channels) > 1
	})
	for _, c := range []struct {
		input string
		args  []string
		want  caddytest.Event
	}{
		{"", []string{`{"text":"hello"}`}, caddytest.Event{Data: `{"text":"hello"}`}},
		{"from elsewhere", []string{"-", "--event", "news", "--id", "1", "--expires", "5"}, caddytest.Event{Type: "news", Data: "from elsewhere"}},
	} {
		answer, trouble, code := publish(c.input, append([]string{"/" + channel}, c.args...)...)
		if code != 0 || !regexp.MustCompile(`^\{"channel":".*","position":"parker\.\w+-\d","released":1\}\n$`).MatchString(answer) {
			t.Fatalf("%v: code %d, %s %s", c.args, code, answer, trouble)
		}
		heard := stream.Next(t)
		heard.ID = ""
		if heard != c.want {
			t.Errorf("%v: heard %+v", c.args, heard)
		}
	}
	if answer, _, code := publish("", "/"+channel, "again", "--id", "1"); code != 0 || !strings.Contains(answer, `"duplicate":true`) {
		t.Errorf("published again with the same ID: code %d, %s", code, answer)
	}
	poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/1")
	caddy.AwaitWaiting(t, "everybody", 1)
	if _, trouble, code := publish("", "everybody", "<b>", "--content-type", "text/html"); code != 0 {
		t.Errorf("code %d, %s", code, trouble)
	}
	if answer := <-poll; answer.Body != "<b>" || answer.Header.Get("Content-Type") != "text/html" {
		t.Errorf("the poll was answered %+v", answer)
	}
	for says, args := range map[string][]string{
		"the channel name is empty": {""},
		"caddy parker publish needs a channel and optionally a message, in quotes if it contains spaces (0 given), for example: caddy parker publish rooms/7": {},
		"in quotes if it contains spaces (3 given)":               {"x", "good", "day"},
		"Parker-Event requires a message":                         {"x", "--event", "y"},
		"Parker-Expires is not a number of seconds of 0 or more":  {"x", "y", "--expires", "soon"},
		"The Content-Type is not a media type":                    {"x", "y", "--content-type", "text"},
		"HTTP 413: {\\\"error\\\":\\\"The message is longer than": {"x", "-"},
	} {
		if _, trouble, code := publish(strings.Repeat("x", 1_000_001), args...); code != 1 || !strings.Contains(trouble, says) {
			t.Errorf("%q: code %d, %s, want %s", args, code, trouble, says)
		}
	}
}

func TestAdminPublishMatchesHook(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, nothingNew(t))
	poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/1")
	caddy.AwaitWaiting(t, "everybody", 1)
	answer := caddy.Administer(t, http.MethodPost, "/parker/channels/everybody", "hello", "Parker-Id: 1")
	if answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"released":1}`) {
		t.Errorf("%+v", answer)
	}
	expect(t, "hello", "message", poll)
	if answer := caddy.Administer(t, http.MethodPost, "/parker/channels?channel=everybody", "hello", "Parker-Id: 1"); !strings.Contains(answer.Body, `"duplicate":true`) {
		t.Errorf("%+v", answer)
	}
	for header, status := range map[string]int{
		"Content-Encoding: gzip":  http.StatusUnsupportedMediaType,
		"Content-Type: text":      http.StatusBadRequest,
		"Parker-Expires: forever": http.StatusBadRequest,
	} {
		if answer := caddy.Administer(t, http.MethodPost, "/parker/channels/everybody", "hello", header); answer.Status != status || !strings.HasPrefix(answer.Body, `{"error":"`) {
			t.Errorf("%s: %+v", header, answer)
		}
	}
}

// tail starts `caddy parker tail` and returns a reader of its lines.
func tail(t *testing.T, c *caddytest.Caddy, args ...string) (*exec.Cmd, *bufio.Reader, *caddytest.Log) {
	t.Helper()
	command := c.Command(t, append([]string{"parker", "tail"}, args...)...)
	stderr := new(caddytest.Log)
	command.Stderr = stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, bufio.NewReader(stdout), stderr
}

// next returns the fields of the next line.
func next(t *testing.T, lines *bufio.Reader) []string {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(line, "\n"), "\t")
}

var tailed = withHook(`
	parker everybody {
		hold messages
		sse {
			retry 50ms
		}
	}
	respond state
`)

func TestCommandTailHearsEveryEvent(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stream", "poll"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			caddy := caddytest.Start(t, tailed, "")
			wire := caddytest.StartProxy(t, caddy.Site)
			caddy.Publish(t, "everybody", "", "before")
			position := caddy.Publish(t, "everybody", "", "first")
			position = regexp.MustCompile(`[\w.]+-\d`).FindString(position)
			args := []string{"http://" + wire.Address, "--header", "X-Any: thing", "--last-event-id", strings.Replace(position, "-2", "-1", 1)}
			if how == "poll" {
				args = append(args, "--poll")
			}
			command, lines, stderr := tail(t, caddy, args...)
			hear := func(want ...string) {
				t.Helper()
				for i, text := range want {
					fields := next(t, lines)
					if i == 0 && len(fields) == 3 && fields[1] == "message" && fields[2] == text || i > 0 && slices.Equal(fields, []string{"", "", text}) {
						continue
					}
					t.Errorf("heard %q, want %q", fields, text)
				}
			}
			hear("first")
			caddy.Publish(t, "everybody", "", "second\r\nof two lines")
			hear("second", "of two lines")
			wire.Cut()
			caddy.Publish(t, "everybody", "", "third \x1b[31m")
			caddy.Publish(t, "everybody", "", "fourth")
			wire.Heal()
			hear(`third \x1b[31m`)
			hear("fourth")
			command.Process.Signal(os.Interrupt)
			if err := command.Wait(); err != nil {
				t.Errorf("the command ended with %v", err)
			}
			if want := "to continue from here: --last-event-id " + strings.Replace(position, "-2", "-5", 1); !strings.Contains(stderr.String(), want) {
				t.Errorf("at its end it wrote %s, want %s", stderr, want)
			}
		})
	}
}

func TestCommandTailReportsPossibleGaps(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, tailed, "")
	now := position(t, caddy)
	for _, args := range [][]string{nil, {"--poll"}} {
		_, lines, _ := tail(t, caddy, append(args, "http://"+caddy.Site, "--last-event-id", caddytest.OtherEpoch(now))...)
		if reset := next(t, lines); len(reset) != 3 || reset[1] != "parker.reset" || reset[0] != now {
			t.Errorf("%v: heard %q", args, reset)
		}
		if state := next(t, lines); len(state) != 3 || state[2] != "state" {
			t.Errorf("%v: heard %q", args, state)
		}
	}
}

func TestCommandTailPollsPlainURLAtMeasuredPace(t *testing.T) {
	t.Parallel()
	var asks atomic.Int64
	legacy := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "state %d of %s", asks.Add(1)/2, r.Header.Get("Cookie"))
	})
	caddy := caddytest.Start(t, operated, legacy)
	begun := time.Now()
	_, lines, _ := tail(t, caddy, "--poll", "-H", "Cookie: me=1", "http://"+caddy.Site)
	for i := range 3 {
		if got, want := next(t, lines), []string{"-", "message", fmt.Sprintf("state %d of me=1", i)}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	if n, seconds := asks.Load(), time.Since(begun).Seconds(); n > 2+int64(seconds) {
		t.Errorf("the backend was asked %d times in %.1f s", n, seconds)
	}
}

func TestCommandTailEndsWhenRefused(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, `http://{$SITE} {
	respond /forbidden 403
	respond /away 503
	respond /over 204
	respond "a page"
}`, "")
	nobody := caddytest.FreePorts(t, 1)[0]
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"http://" + caddy.Site + "/forbidden"}, 1, "the server answered 403 Forbidden"},
		{[]string{"http://" + caddy.Site + "/forbidden", "--poll"}, 1, "the server answered 403 Forbidden"},
		{[]string{"http://" + caddy.Site + "/away"}, 1, "the server answered 503 Service Unavailable"},
		{[]string{"http://" + caddy.Site}, 1, "which is not an event stream; try --poll"},
		{[]string{"http://" + caddy.Site + "/over"}, 0, ""},
		{[]string{"http://" + nobody}, 1, "connection refused"},
		{[]string{caddy.Site}, 1, "must be a URL with http:// or https://"},
		{[]string{"http://" + caddy.Site, "-H", "nothing"}, 1, `must have the form`},
		{[]string{}, 1, "caddy parker tail needs one URL (0 given), for example: caddy parker tail https://example.com/messages"},
	} {
		if _, stderr, code := parker(t, caddy, "", append([]string{"tail"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: code %d, %s", c.args, code, stderr)
		}
	}
}
