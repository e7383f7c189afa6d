package share

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzVaried checks that an answer suits nobody who differs from the one it was
// made for in a field that its Vary names, however that is written.
func FuzzVaried(f *testing.F) {
	f.Add("Accept-Language", "de", "en")
	f.Add("accept-language , ,X-Other", "", "en")
	f.Add("Accept-Encoding\tACCEPT-LANGUAGE", "a", "a")
	f.Add("*", "a", "a")
	f.Add("Accept-Language,*", "a", "b")
	f.Add(`"Accept-Language"`, "a", "b")
	f.Fuzz(func(t *testing.T, vary, asked, other string) {
		of := func(value string) func(string) []string {
			header := http.Header{"Accept-Language": {value}, "X-Same": {"same"}}
			return func(name string) []string { return header[name] }
		}
		varies, ok := Varied(http.Header{"Vary": {"X-Same", vary}}, of(asked))
		named := slices.Collect(func(yield func(string) bool) {
			for name := range strings.SplitSeq(vary, ",") {
				if !yield(strings.ToLower(strings.TrimSpace(name))) {
					return
				}
			}
		})
		if ok == slices.Contains(named, "*") {
			t.Fatalf("Vary: %q is for others too: %t", vary, ok)
		}
		if !ok {
			return
		}
		r := Result{Varies: varies}
		if !r.Suits(of(asked)) {
			t.Fatalf("Vary: %q: it does not suit whom it was made for", vary)
		}
		if slices.Contains(named, "accept-language") && r.Suits(of(other)) != (asked == other) {
			t.Fatalf("Vary: %q: made for %q, it suits %q: %t", vary, asked, other, asked != other)
		}
		if r.Suits(func(string) []string { return nil }) {
			t.Fatalf("Vary: %q: it suits a request without the field", vary)
		}
	})
}
