package adapt

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root is the repository's folder.
const root = "../.."

// pages are the texts of all Markdown pages of the project, by their paths from root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
	examples, err := filepath.Glob(root + "/examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range examples {
		paths = append(paths, strings.TrimPrefix(path, root+"/"))
	}
	err = fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, path := range paths {
		texts[path] = read(t, path)
	}
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced matches a fenced block of code, with its language and its text. It may stand
// in a list, as far in as its fence does.
var fenced = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")

func TestDocsCaddyfilesAdapt(t *testing.T) {
	for path, page := range pages(t) {
		for i, block := range fenced.FindAllStringSubmatch(page, -1) {
			if block[1] != "caddyfile" {
				continue
			}
			t.Run(fmt.Sprintf("%s, block %d", path, i+1), func(t *testing.T) {
				caddyfile := whole(block[2])
				config, warnings, err := adapt(caddyfile)
				if err != nil {
					t.Fatalf("%v\n%s", err, caddyfile)
				}
				for _, warning := range warnings {
					if !strings.Contains(warning.Message, "not formatted") { // comments stand in columns there
						t.Errorf("warning: %s\n%s", warning, caddyfile)
					}
				}
				checkReadBack(t, config)
			})
		}
	}
}

// name matches the first word of a part of a site: a directive, a named matcher, or an
// option. Addresses, the braces of global options and snippets are none.
var name = regexp.MustCompile(`^@?[a-z_]+$`)

// whole makes a Caddyfile of a block, which may be a part of one. Its first word tells
// where it stands: in `parker`, if that knows the word as an option, else in a site, if
// it is a name, else it is whole.
func whole(block string) string {
	first := firstWord(block)
	options := slices.Collect(maps.Keys(optionsIn(sourceOf("caddyfile.go"), "Handler")))
	switch {
	case !name.MatchString(first):
		return block
	case slices.Contains(options, first):
		return "http://example.com {\n\tparker {\n" + block + "\n\t}\n}\n"
	}
	return "http://example.com {\n" + block + "\n}\n"
}

func firstWord(block string) string {
	for line := range strings.Lines(block) {
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			return words[0]
		}
	}
	return ""
}

// link matches a link of Markdown, with where it leads to.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestDocsLinksLeadSomewhere(t *testing.T) {
	for path, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(withoutCode(page), -1) {
			target := match[1]
			if strings.Contains(target, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			at := path
			if file != "" {
				at = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(filepath.Join(root, at)); err != nil {
				t.Errorf("%s links to %s: %v", path, target, err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, at)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", path, target)
			}
		}
	}
}

// code matches a span of code.
var code = regexp.MustCompile("`[^`\n]+`")

func withoutCode(page string) string {
	return code.ReplaceAllString(fenced.ReplaceAllString(page, ""), "")
}

// anchors are the names of a page's headings, as GitHub makes them.
func anchors(page string) (names []string) {
	for line := range strings.Lines(fenced.ReplaceAllString(page, "")) {
		heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading)))
	}
	return names
}

func TestDocsNameExistingTests(t *testing.T) {
	sources := sourcesOf(t, "_test.go")
	for path, page := range pages(t) {
		for _, test := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(page, -1) {
			if !strings.Contains(sources, "func "+test[1]+"(") {
				t.Errorf("%s names %s, which does not exist", path, test[1])
			}
		}
	}
}

func TestDocsNameExistingMetrics(t *testing.T) {
	exists := metricNames(t)
	for path, page := range pages(t) {
		for _, name := range regexp.MustCompile(`\bparker_[a-z]+_[a-z_]+`).FindAllString(page, -1) {
			if bare := strings.TrimSuffix(name, "_bucket"); bare != "parker_page_loads" && !slices.Contains(exists, bare) { // a directive
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	}
}
