package jsonvalue

import (
	"slices"
	"strings"
	"testing"
)

func parsed(t testing.TB, text string) any {
	t.Helper()
	document, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func pointer(t testing.TB, text string) Pointer {
	t.Helper()
	p, err := ParsePointer(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// encoded returns the canonical encoding of a document.
func encoded(t testing.TB, document any) string {
	t.Helper()
	text, ok := Canonical(document)
	if !ok {
		t.Fatalf("%v cannot be encoded", document)
	}
	return string(text)
}

func TestPointerAnyFindsEveryPart(t *testing.T) {
	for _, test := range []struct {
		pointer, document string
		want              []string
	}{
		{"", `{"a":1}`, []string{`{"a":1}`}},
		{"/a", `{"a":1}`, []string{"1"}},
		{"/a", `{"b":1}`, nil},
		{"/a", `[1]`, nil},
		{"/a", `"a"`, nil},
		{"/0", `[1,2]`, []string{"1"}},
		{"/01", `[1,2]`, nil},
		{"/2", `[1,2]`, nil},
		{"/-", `[1]`, nil},
		{"/a~1b/~0", `{"a/b":{"~":1}}`, []string{"1"}},
		{"/", `{"":1}`, []string{"1"}},

		{"/*", `[1,2,1]`, []string{"1", "1", "2"}},
		{"/*", `[]`, nil},
		{"/*", `{"a":1,"b":2}`, []string{"1", "2", `{"a":1,"b":2}`}},
		{"/*", `3`, nil},
		{"/*", `null`, nil},
		{"/source/*/listeners", `{"source":[{"listeners":1},{"listeners":2},{"other":3},4]}`, []string{"1", "2"}},
		{"/source/*/listeners", `{"source":{"listeners":1}}`, []string{"1"}},
		{"/source/*/listeners", `{"source":{"/live":{"listeners":1},"/talk":{"listeners":2}}}`, []string{"1", "2"}},
		{"/source/*/listeners", `{"source":{"listeners":1,"of":{"listeners":2}}}`, []string{"1", "2"}},
		{"/source/*/listeners", `{}`, nil},
		{"/result/*/value/0", `{"result":[{"value":[1,"up"]},{"value":[2,"down"]},{"value":[]}]}`, []string{"1", "2"}},
		{"/*/*/id", `[[{"id":1}],[{"id":2},{"id":3}]]`, []string{"1", "2", "3"}},
		{"/*/*/id", `[{"id":1}]`, []string{"1"}},
		{"/*/method", `{"method":"x"}`, []string{`"x"`}},
		{"/*/method", `[{"method":"x"},{"method":"y"}]`, []string{`"x"`, `"y"`}},
		{"/a*", `{"a*":1,"ab":2}`, []string{"1"}},
	} {
		document := parsed(t, test.document)
		var got []string
		note := func(part any) bool {
			got = append(got, encoded(t, part))
			return false
		}
		if pointer(t, test.pointer).Any(document, note) {
			t.Errorf("%s in %s: a value holds", test.pointer, test.document)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s in %s: got %q, want %q", test.pointer, test.document, got, test.want)
		}
		if holds := pointer(t, test.pointer).Any(document, Exists); holds != (len(test.want) > 0) {
			t.Errorf("%s in %s: a part exists: %t", test.pointer, test.document, holds)
		}
		if after := encoded(t, document); after != encoded(t, parsed(t, test.document)) {
			t.Errorf("%s changed %s to %s", test.pointer, test.document, after)
		}
	}
}

func TestPointerRemoveRemovesEveryPart(t *testing.T) {
	for _, test := range []struct{ pointer, document, want string }{
		{"/a", `{"a":1,"b":2}`, `{"b":2}`},
		{"/a", `{"b":2}`, `{"b":2}`},
		{"/a/b", `{"a":{"b":1,"c":2}}`, `{"a":{"c":2}}`},
		{"/a/b", `{"a":1}`, `{"a":1}`},
		{"/a/b", `{}`, `{}`},
		{"/1", `[1,2,3]`, `[1,null,3]`},
		{"/3", `[1,2,3]`, `[1,2,3]`},
		{"/a", `1`, `1`},

		{"/*", `[1,[2]]`, `[null,null]`},
		{"/*", `{"a":1,"b":[2]}`, `{}`},
		{"/*", `null`, `null`},
		{"/source/*/listeners", `{"source":[{"listeners":1,"title":"x"},{"listeners":2},3]}`, `{"source":[{"title":"x"},{},3]}`},
		{"/source/*/listeners", `{"source":{"listeners":1,"title":"x"}}`, `{"source":{"title":"x"}}`},
		{"/source/*/listeners", `{"source":{"/live":{"listeners":1,"title":"x"},"listeners":1}}`, `{"source":{"/live":{"title":"x"}}}`},
		{"/result/*/value/0", `{"result":[{"value":[1,"up"]},{"value":[2,"up"]}]}`, `{"result":[{"value":[null,"up"]},{"value":[null,"up"]}]}`},
		{"/*/id", `{"id":1,"method":"x"}`, `{"method":"x"}`},
		{"/*/id", `[{"id":1,"method":"x"},{"id":2,"method":"y"}]`, `[{"method":"x"},{"method":"y"}]`},
		{"/*/*", `[[1,2],{"a":3}]`, `[[null,null],{}]`},
		{"/*/*", `{"a":{"b":1}}`, `{}`},
	} {
		document := parsed(t, test.document)
		pointer(t, test.pointer).Remove(document)
		if got := encoded(t, document); got != test.want {
			t.Errorf("%s in %s: got %s, want %s", test.pointer, test.document, got, test.want)
		}
	}
}

func TestPointerNamesMemberOfFlatObject(t *testing.T) {
	for _, test := range []struct {
		pointer, name string
		want          bool
	}{
		{"/id", "id", true}, {"/id", "ID", false}, {"/*/id", "id", true}, {"/*/*/a~1b", "a/b", true}, {"/*", "id", true}, {"/", "", true},
		{"/a/id", "id", false}, {"/a/id", "a", false}, {"/*/a/id", "id", false}, {"/a/*", "a", false}, {"", "", false},
	} {
		if got := pointer(t, test.pointer).NamesMember(test.name); got != test.want {
			t.Errorf("%s, %s: got %t", test.pointer, test.name, got)
		}
	}
}

func TestParsePointerRefusesWhatIsNoPointer(t *testing.T) {
	for text, want := range map[string]string{
		"a":                       "must be empty or start with /",
		"*":                       "must be empty or start with /",
		"/a~":                     "~ must be followed by 0 or 1",
		"/a~2":                    "~ must be followed by 0 or 1",
		strings.Repeat("/*/a", 9): "can contain * at most 8 times",
	} {
		if _, err := ParsePointer(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", text, err)
		}
	}
	if _, err := ParsePointer(strings.Repeat("/*/a", 8)); err != nil {
		t.Error(err)
	}
}
