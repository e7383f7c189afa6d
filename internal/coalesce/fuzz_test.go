package coalesce

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzVaried checks that an answer matches no request that differs from the one it was
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
		if !r.Matches(of(asked), Target{}) {
			t.Fatalf("Vary: %q: it does not suit whom it was made for", vary)
		}
		if slices.Contains(named, "accept-language") && r.Matches(of(other), Target{}) != (asked == other) {
			t.Fatalf("Vary: %q: made for %q, it suits %q: %t", vary, asked, other, asked != other)
		}
		if r.Matches(func(string) []string { return nil }, Target{}) {
			t.Fatalf("Vary: %q: it suits a request without the field", vary)
		}
	})
}

// FuzzKeyTellsPartsApart checks that what a client writes into one part of a key
// never looks like the end of that part and the beginning of the next.
func FuzzKeyTellsPartsApart(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "a", "a", "")
	f.Add("\x01a", "", "", "\x01a")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		key := func(parts, lines []string) []byte {
			var key []byte
			for _, part := range parts {
				key = appendPart(key, part)
			}
			return appendField(key, lines)
		}
		for _, x := range []struct{ parts, lines, otherParts, otherLines []string }{
			{[]string{a, b}, nil, []string{c, d}, nil},
			{[]string{a}, []string{b}, []string{c}, []string{d}},
			{[]string{a}, []string{b, c}, []string{a}, []string{b, d}},
			{[]string{a}, []string{b}, []string{a}, []string{b, c}},
			{[]string{a}, []string{b + c}, []string{a}, []string{b, c}},
		} {
			equal := slices.Equal(x.parts, x.otherParts) && slices.Equal(x.lines, x.otherLines)
			if bytes.Equal(key(x.parts, x.lines), key(x.otherParts, x.otherLines)) != equal {
				t.Fatalf("%q %q and %q %q", x.parts, x.lines, x.otherParts, x.otherLines)
			}
		}
	})
}
