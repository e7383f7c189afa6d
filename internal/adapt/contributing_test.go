package adapt

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestContributingMapsEachPackage(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "CONTRIBUTING.md"), "\n### The map\n")
	table, _, _ = strings.Cut(table, "\n## ")
	mapped := make(map[string]bool)
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(table, -1) {
		for _, name := range code.FindAllString(row[1], -1) {
			mapped[strings.Trim(name, "`")] = true
		}
	}
	packages := packageFolders(t)
	for folder := range packages {
		if !mapped[folder] {
			t.Errorf("the map has no row for %s", folder)
		}
	}
	for folder := range mapped {
		if !packages[folder] {
			t.Errorf("the map has a row for %s, which is no package", folder)
		}
	}
}

// packageFolders are the folders with Go files, by their paths from root.
func packageFolders(t *testing.T) map[string]bool {
	t.Helper()
	folders := make(map[string]bool)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") {
			folders[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}
