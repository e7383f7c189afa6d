package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// TestTheREADMEsWalkThroughDoesWhatItShows runs what stands under "Try it": the
// Caddyfile, and each line behind a $, whose output must be what is shown.
func TestTheREADMEsWalkThroughDoesWhatItShows(t *testing.T) {
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Try it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	s := newShell(t, blocks(section, "caddyfile"))
	s.run(t, regexp.MustCompile("`(echo [^`]+)`").FindStringSubmatch(section)[1], nil)
	steps := stepsOf(blocks(section, "console"))
	if len(steps) == 0 {
		t.Fatal("there is nothing to be run")
	}
	for _, step := range steps {
		s.run(t, step.command, step.output)
	}
}

// blocks are the fenced blocks of code in a language, one after the other.
func blocks(page, language string) string {
	var all strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		if block[1] == language {
			all.WriteString(block[2])
		}
	}
	return all.String()
}

// step is a command, and the lines that are shown behind it.
type step struct {
	command string
	output  []string
}

func stepsOf(console string) (steps []step) {
	for line := range strings.Lines(console) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: command})
		} else if line != "" {
			last := &steps[len(steps)-1]
			last.output = append(last.output, line)
		}
	}
	return steps
}

// shell runs commands as somebody does who follows the README: in a folder with
// Caddy, at other addresses.
type shell struct {
	caddy     *caddytest.Caddy
	addresses *strings.Replacer
	programs  []*program // that were started, those in the background too
	epoch     string     // of the positions here, which is another one than the README's
}

// program is one that was started, and how many bytes of its output were compared.
type program struct {
	output   caddytest.Log
	compared int
}

func newShell(t *testing.T, caddyfile string) *shell {
	t.Helper()
	// Caddy is built in the module's folder; what it serves is in the one that it
	// runs in.
	caddytest.Start(t, "http://{$SITE} {\n\trespond hello\n}", "")
	t.Chdir(t.TempDir())
	site, hook := "localhost:8080", "127.0.0.1:9080"
	s := &shell{caddy: caddytest.Start(t, strings.NewReplacer(site, "{$SITE}", hook, "{$HOOK}").Replace(caddyfile), "")}
	s.addresses = strings.NewReplacer(site, s.caddy.Site, hook, s.caddy.Hook)
	list := caddytest.Do(t.Context(), http.MethodGet, "http://"+s.caddy.Hook+"/", "")
	if s.epoch, _, _ = strings.Cut(anyPosition.FindString(list.Body), "-"); s.epoch == "" {
		t.Fatalf("there is no position in %+v", list)
	}
	return s
}

// run runs a command, and waits until it and those in the background have written the
// lines that are shown, in whichever order.
func (s *shell) run(t *testing.T, command string, shown []string) {
	t.Helper()
	line, background := strings.CutSuffix(s.likened(s.addresses.Replace(command)), " &")
	bash := exec.CommandContext(t.Context(), "bash", "-c", strings.Replace(line, "curl ", "curl -s ", 1))
	p := new(program)
	bash.Stdout, bash.Stderr = &p.output, &p.output
	s.programs = append(s.programs, p)
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	switch {
	case background && len(shown) == 0:
		go bash.Wait()
		s.caddy.AwaitWaiting(t, "messages", 1)
	case background:
		go bash.Wait()
	default:
		if err := bash.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, &p.output)
		}
	}
	s.compare(t, command, shown)
}

// heartbeat is a line that comes on a stream whenever it has been silent.
const heartbeat = ":"

// What differs from run to run: positions, by their epoch, and how long clients are
// told to wait.
var (
	anyPosition = regexp.MustCompile(`\bparker\.[A-Z2-7]{10}-(\d+)`)
	anyRetry    = regexp.MustCompile(`retry: \d+`)
)

// likened is a line with what differs from run to run as it is here.
func (s *shell) likened(line string) string {
	return anyRetry.ReplaceAllString(anyPosition.ReplaceAllString(line, s.epoch+"-$1"), "retry: some")
}

func (s *shell) compare(t *testing.T, command string, shown []string) {
	t.Helper()
	var want []string
	for _, line := range shown {
		want = append(want, s.likened(line))
	}
	slices.Sort(want)
	var written []string
	defer func() {
		if t.Failed() {
			t.Logf("%s has written %q, want %q", command, written, want)
		}
	}()
	caddytest.Await(t, command+" has written what is shown", func() bool {
		written = nil
		for _, p := range s.programs {
			for line := range strings.Lines(p.output.String()[p.compared:]) {
				if line = strings.TrimSpace(line); line != "" && line != heartbeat {
					written = append(written, s.likened(line))
				}
			}
		}
		slices.Sort(written)
		return slices.Equal(written, want)
	})
	for _, p := range s.programs {
		p.compared = len(p.output.String())
	}
}
