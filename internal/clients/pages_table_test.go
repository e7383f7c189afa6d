//go:build !race

package clients

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// pagesDocs is the page of the docs with the table.
const pagesDocs = "../../docs/pages.md"

// tableEnd follows the table.
const tableEnd = "\n<!-- the end of the table -->"

const tableHead = `| page | HTTP | polls in 10 s | a change is seen after | a page load shows the state after | a click is answered after |
|---|---|---|---|---|---|
`

// tableRow returns a line of the table. Where there are two figures, the first is without
// parker.
func tableRow(with, without *visit) string {
	both := func(figure func(*visit) string) string { return figure(without) + " → " + figure(with) }
	slowest := func(of kind) string { return both(func(v *visit) string { return seconds(v.slowest(of)) }) }
	polls := both(func(v *visit) string { return fmt.Sprint(v.spans[settled].polls) })
	cells := []string{with.page.name, strings.TrimPrefix(string(with.protocol), "HTTP "), polls, slowest(change), slowest(load), slowest(click)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// String returns all that was measured.
func (v *visit) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v.spans)) {
		span := v.spans[name]
		fmt.Fprintf(&text, "\t%s: %d polls at the backend, at most %.1f answers a second for a tab\n", name, span.polls, span.rate)
	}
	for _, step := range v.taken {
		fmt.Fprintf(&text, "\t%s: %v\n", step.name, step.took)
	}
	return text.String()
}

// writeTable replaces the table in the docs.
func writeTable(t *testing.T, table string) {
	text, err := os.ReadFile(pagesDocs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "| page |")
	_, after, ok := strings.Cut(rest, tableEnd)
	if !ok {
		t.Fatalf("%s has no table", pagesDocs)
	}
	if err := os.WriteFile(pagesDocs, []byte(before+table+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPagesDocsHaveEveryPage(t *testing.T) {
	text, err := os.ReadFile(pagesDocs)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, protocol := range []string{"1.1", "2"} {
			if line := "\n| " + page.name + " | " + protocol + " | "; strings.Count(string(text), line) != 1 {
				t.Errorf("%s does not have the line %q once: run the test with -update", pagesDocs, line)
			}
		}
	}
}

// timeline returns what Caddy has answered to a visit about that time.
func (v *visit) timeline(begin time.Time, took time.Duration) string {
	file, err := os.Open(v.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	var lines strings.Builder
	from, to := begin.Add(-3*time.Second), begin.Add(took+time.Second)
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var entry struct {
			Ts, Duration float64
			Status       int
			Request      struct {
				Method, URI string
				Headers     http.Header
			}
			Headers http.Header `json:"resp_headers"`
		}
		if json.Unmarshal(scanner.Bytes(), &entry) != nil || !strings.HasPrefix(entry.Request.URI, v.folder+"/") {
			continue
		}
		ended := time.UnixMicro(int64(entry.Ts * 1e6))
		began := ended.Add(-time.Duration(entry.Duration * float64(time.Second)))
		if ended.Before(from) || began.After(to) {
			continue
		}
		fmt.Fprintf(&lines, "\t%+.2f to %+.2f s: %s %s %s: %d %s, %s\n", began.Sub(begin).Seconds(), ended.Sub(begin).Seconds(),
			entry.Request.Method, strings.TrimPrefix(entry.Request.URI, v.folder), entry.Request.Headers.Get("If-None-Match"),
			entry.Status, entry.Headers.Get("ETag"), entry.Headers.Get("Parker-Status"))
	}
	return lines.String()
}
