package runtest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// caddyfiles is the environment variable that names a folder with files that take the place of
// those of the example.
const caddyfiles = "PARKER_TEST_CADDYFILES"

// Advise returns the Caddyfile of an example with the advice of `caddy parker advise` in place
// of what it says itself about parker. See [Advice].
func Advise(t *testing.T, ports Ports, file string, drive func(address string)) (caddyfile string) {
	t.Helper()
	advice, notes := Advice(t, ports, file, drive)
	if advice == "" {
		t.Fatal("there is no advice: " + notes)
	}
	return replaced(read(t, file), directives(advice))
}

// Advice returns what `caddy parker advise` writes about the traffic of drive, which uses the
// example at an address, without parker. The file is the one of the example that has the
// directives of parker, in the first of its sites.
func Advice(t *testing.T, ports Ports, file string, drive func(address string)) (caddyfile, notes string) {
	t.Helper()
	caddytest.SkipShort(t)
	t.Run("advise", func(t *testing.T) { // the example ends with this test
		Use(t, file, replaced(read(t, file), ""))
		e := Start(t, ports)
		var stdout bytes.Buffer
		stderr := new(caddytest.Log)
		address := "http://" + caddytest.FreePorts(t, 1)[0]
		command := caddytest.Command(t, "parker", "advise", "--from", address, "--to", strings.TrimPrefix(e.Address, "http://"))
		command.Stdout, command.Stderr = &stdout, stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		Eventually(t, "Caddy listens", func() bool { return strings.Contains(stderr.String(), "Listening on") })
		drive(address)
		command.Process.Signal(os.Interrupt)
		if err := command.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		t.Logf("%s\n%s", stderr, &stdout)
		caddyfile, notes = stdout.String(), stderr.String()
	})
	return caddyfile, notes
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Use makes a file take the place of that of the example until the test ends.
func Use(t *testing.T, file, content string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(caddyfiles, folder)
}

// directives returns what the first site of a Caddyfile says about parker.
func directives(caddyfile string) string {
	var kept []string
	inside := false
	for line := range strings.Lines(caddyfile) {
		switch {
		case strings.HasPrefix(line, "http"):
			inside = true
		case strings.HasPrefix(line, "}"):
			return strings.Join(kept, "")
		case inside && !strings.HasPrefix(line, "\treverse_proxy"):
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// replaced returns a Caddyfile with other directives in place of those of parker in its first
// site. The site begins at the first line that starts with http.
func replaced(caddyfile, directives string) string {
	var kept strings.Builder
	sites, skipping := 0, false
	for line := range strings.Lines(caddyfile) {
		if strings.HasPrefix(line, "http") {
			if sites++; sites == 1 {
				kept.WriteString(line + directives)
				continue
			}
		}
		own := sites == 1 && strings.HasPrefix(line, "\tparker")
		if !own && !skipping {
			kept.WriteString(line)
		}
		if own && strings.HasSuffix(strings.TrimSpace(line), "{") {
			skipping = true
		} else if strings.HasPrefix(line, "\t}") {
			skipping = false
		}
	}
	return kept.String()
}

// Visit calls poll again and again, with a pause after each call, for several pages at a time,
// and meanwhile write some times. It returns when all have ended.
func Visit(t *testing.T, pages int, pause time.Duration, poll func(ctx context.Context, page int), writes int, every time.Duration, write func(number int)) {
	ctx, leave := context.WithCancel(t.Context())
	var open sync.WaitGroup
	for page := range pages {
		open.Go(func() {
			for tick := time.NewTimer(0); ; {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				poll(ctx, page)
				tick.Reset(pause)
			}
		})
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	<-ticks.C // the pages have begun
	for number := range writes {
		write(number)
		<-ticks.C
	}
	leave()
	open.Wait()
}

// Lists returns what the pages of an example poll, for [Visit]: the URL of what came after a
// number, which is answered with a list of objects that have their numbers as a member. The
// header line tells the pages apart.
func Lists(pages int, member, header string, url func(page, last int) string) func(ctx context.Context, page int) {
	last := make([]int, pages)
	return func(ctx context.Context, page int) {
		answer := caddytest.Do(ctx, http.MethodGet, url(page, last[page]), "", header+strconv.Itoa(page))
		var news []map[string]any
		json.Unmarshal([]byte(answer.Body), &news) // it fails when the visit ends
		for _, one := range news {
			if number, ok := one[member].(float64); ok {
				last[page] = int(number)
			}
		}
	}
}
