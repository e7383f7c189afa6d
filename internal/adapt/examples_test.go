package adapt

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shownLines matches what an example's page shows of its Caddyfile.
var shownLines = regexp.MustCompile(`(?s)<pre class="caddyfile">(.*?)</pre>`)

// TestExamplePagesShowTheirCaddyfiles has the lines stand in the Caddyfile in the
// same order. Others may stand between them, and … stands for the rest of a line.
func TestExamplePagesShowTheirCaddyfiles(t *testing.T) {
	for _, page := range []string{"chat/panel.html", "cgi/site/form.html", "gps-tracker/page.html", "jetty-chat/page.html", "notifications/page.html", "second-factor/login.html", "two-nodes/page.html"} {
		folder, _, _ := strings.Cut(page, "/")
		shown := shownLines.FindStringSubmatch(read(t, "examples/"+page))
		if shown == nil {
			t.Errorf("%s shows no lines of a Caddyfile", page)
			continue
		}
		rest := caddyfilesIn(t, folder)
		for line := range strings.Lines(html.UnescapeString(shown[1])) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "…")
			if line == "" {
				continue
			}
			_, after, found := strings.Cut(rest, "\n"+line)
			if !found {
				t.Errorf("%s shows %q, which is not in the Caddyfile, or not there", page, line)
				continue
			}
			rest = after
		}
	}
}

// caddyfilesIn returns the lines of an example's Caddyfiles without white space around
// them, with its ports as they are by default.
func caddyfilesIn(t *testing.T, folder string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "examples", folder, "*Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(regexp.MustCompile(`\{\$\w+:(\w+)\}`).ReplaceAllString(string(text), "$1")) {
			lines.WriteString("\n" + strings.TrimSpace(line))
		}
	}
	return lines.String()
}
