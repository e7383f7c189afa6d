package jsonvalue

import (
	"strings"
	"testing"
)

// FuzzPointer checks that nothing panics, that no part remains that was removed, and that
// nothing is removed where the pointer refers to nothing.
func FuzzPointer(f *testing.F) {
	f.Add("/source/*/listeners", `{"source":[{"listeners":1},{"listeners":[2]}]}`)
	f.Add("/*/id", `{"id":1,"method":"x"}`)
	f.Add("/*/*/0", `[[1],{"0":{"0":1}}]`)
	f.Add("/a~1b/-/01", `{"a/b":[1]}`)
	f.Add(strings.Repeat("/*", 8), strings.Repeat(`{"a":`, 20)+"1"+strings.Repeat("}", 20))
	f.Fuzz(func(t *testing.T, text, document string) {
		p, err := ParsePointer(text)
		if err != nil || len(p) == 0 {
			return
		}
		value, err := Parse([]byte(document))
		if err != nil {
			return
		}
		before, ok := Canonical(value)
		if !ok {
			return
		}
		found := p.Any(value, Exists)
		p.Remove(value)
		after, _ := Canonical(value)
		if !found && string(after) != string(before) {
			t.Fatalf("%s refers to nothing in %s, but removed something: %s", text, before, after)
		}
		p.Remove(value)
		if again, _ := Canonical(value); string(again) != string(after) {
			t.Fatalf("%s removed more the second time: %s, then %s", text, after, again)
		}
	})
}
