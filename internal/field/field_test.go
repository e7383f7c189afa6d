package field

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWaitReturnsFirstPreference(t *testing.T) {
	for _, test := range []struct {
		prefer []string
		want   time.Duration
		ok     bool
	}{
		{[]string{"wait=20"}, 20 * time.Second, true},
		{[]string{"wait=0"}, 0, true},
		{[]string{"wait=007"}, 7 * time.Second, true},
		{[]string{"Wait=20"}, 20 * time.Second, true},
		{[]string{"wait \t=\t 20"}, 20 * time.Second, true},
		{[]string{`wait="20"`}, 20 * time.Second, true},
		{[]string{`wait="\2\0"`}, 20 * time.Second, true},
		{[]string{"wait=20; foo"}, 20 * time.Second, true},
		{[]string{`wait=20;foo="a,b;c"`}, 20 * time.Second, true},
		{[]string{"respond-async, wait=20"}, 20 * time.Second, true},
		{[]string{",, wait=20 ,,"}, 20 * time.Second, true},
		{[]string{`foo="wait=5, wait=6", wait=20`}, 20 * time.Second, true},
		{[]string{`foo; wait=5, wait=20`}, 20 * time.Second, true},
		{[]string{"respond-async", "wait=20"}, 20 * time.Second, true},
		{[]string{"wait=20, wait=30"}, 20 * time.Second, true},
		{[]string{"wait=20", "wait=30"}, 20 * time.Second, true},
		{[]string{"wait=2147483648"}, 1 << 31 * time.Second, true},
		{[]string{"wait=99999999999999999999999"}, 1 << 31 * time.Second, true},

		{nil, 0, false},
		{[]string{""}, 0, false},
		{[]string{"respond-async"}, 0, false},
		{[]string{"waiting=20"}, 0, false},
		{[]string{"wait"}, 0, false},
		{[]string{"wait="}, 0, false},
		{[]string{`wait=""`}, 0, false},
		{[]string{`wait="20`}, 0, false},
		{[]string{"wait=-1"}, 0, false},
		{[]string{"wait=+1"}, 0, false},
		{[]string{"wait=1.5"}, 0, false},
		{[]string{"wait=20s"}, 0, false},
		{[]string{"wait=20 30"}, 0, false},
		{[]string{"wait=soon, wait=20"}, 0, false},
	} {
		wait, ok := Wait(http.Header{"Prefer": test.prefer})
		if wait != test.want || ok != test.ok {
			t.Errorf("Prefer %q: got %v, %t, want %v, %t", test.prefer, wait, ok, test.want, test.ok)
		}
	}
}

func TestWaitAllocatesNothingWithoutPrefer(t *testing.T) {
	header := http.Header{"Accept": {"*/*"}}
	if n := testing.AllocsPerRun(100, func() { Wait(header) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestListReturnsElements(t *testing.T) {
	for _, test := range []struct{ values, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{" ,\t, "}, nil},
		{[]string{"rooms/7"}, []string{"rooms/7"}},
		{[]string{`rooms/7, "a, b"`}, []string{"rooms/7", "a, b"}},
		{[]string{"a,b", ",c,"}, []string{"a", "b", "c"}},
		{[]string{"two words , x"}, []string{"two words", "x"}},
		{[]string{`"say \"hi\", \\o/"`}, []string{`say "hi", \o/`}},
		{[]string{`"", a`}, []string{"", "a"}},
		{[]string{`a"b,c"d, e`}, []string{`a"b,c"d`, "e"}},
		{[]string{`"a"b, "c" "d"`}, []string{`"a"b`, `"c" "d"`}},
		{[]string{`a, "b, c`, "d"}, []string{"a", `"b, c`, "d"}},
		{[]string{`"a\`}, []string{`"a\`}},
		{[]string{`"`}, []string{`"`}},
	} {
		if got := List(test.values); !slices.Equal(got, test.want) {
			t.Errorf("List(%q) = %q, want %q", test.values, got, test.want)
		}
	}
}

func FuzzPrefer(f *testing.F) {
	f.Add("wait=20", "")
	f.Add(`foo="a,b"; c, wait = "20"; x`, "wait=5")
	f.Add("wait=99999999999999999999999", "respond-async")
	f.Fuzz(func(t *testing.T, first, second string) {
		wait, ok := Wait(http.Header{"Prefer": {first, second}})
		if wait < 0 || wait > maxDelta*time.Second || wait%time.Second != 0 || !ok && wait != 0 {
			t.Fatalf("Prefer %q, %q: %v, %t", first, second, wait, ok)
		}
		if after, _ := Wait(http.Header{"Prefer": {"wait=3", first, second}}); after != 3*time.Second {
			t.Fatalf("Prefer %q, %q won over an earlier wait: %v", first, second, after)
		}
	})
}

func FuzzList(f *testing.F) {
	f.Add(`rooms/7, "a, b"`)
	f.Add(`a"b,c\"d, "`)
	f.Fuzz(func(t *testing.T, value string) {
		elements := List([]string{value})

		// Written as quoted strings, they come back as they are.
		quote := strings.NewReplacer(`"`, `\"`, `\`, `\\`)
		var quoted []string
		for _, element := range elements {
			quoted = append(quoted, `"`+quote.Replace(element)+`"`)
		}
		if again := List([]string{strings.Join(quoted, ",")}); !slices.Equal(again, elements) {
			t.Fatalf("%q: %q came back as %q", value, elements, again)
		}
	})
}

func TestPreferencesButLeavesOutOneName(t *testing.T) {
	for _, test := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{"wait=5"}, nil},
		{[]string{"Wait = 5 ; a=b, WAIT", ""}, nil},
		{[]string{"respond-async, wait=5", "return=minimal"}, []string{"respond-async", "return=minimal"}},
		{[]string{`foo="a, wait=5"; wait, waiting=1`}, []string{`foo="a, wait=5"; wait`, "waiting=1"}},
	} {
		if got := PreferencesBut(test.lines, "wait"); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.lines, got, test.want)
		}
	}
}

func TestPrefersComparesWeights(t *testing.T) {
	for _, test := range []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*/*"}, false},
		{[]string{"text/*"}, false},
		{[]string{"text/event-stream"}, true},
		{[]string{"Text/Event-Stream;charset=utf-8"}, true},
		{[]string{"text/event-stream;q=0.1"}, true},
		{[]string{"text/event-stream;q=0"}, false},
		{[]string{"application/json, text/event-stream"}, true},
		{[]string{"application/json;q=0.5", "text/event-stream;q=0.5"}, true},
		{[]string{"application/json, text/event-stream;q=0.1"}, false},
		{[]string{"text/event-stream; Q=0.9,application/json"}, false},
		{[]string{"text/event-stream", "application/json;q=0.9"}, true},
		{[]string{"application/json;q=0, text/event-stream;q=0.1"}, true},
		{[]string{"text/event-stream, */*;q=0.1"}, true},
		{[]string{"text/event-stream, */*"}, true},
		{[]string{"text/event-stream;q=0.5, */*"}, false},
		{[]string{"text/event-stream;q=0.5, text/*;q=0.8"}, false},
		{[]string{`a/b;c="text/event-stream";q=0.5, text/event-stream;q=0.4`}, false},
		{[]string{"application/json, text/event-stream;q=high"}, true},
		{[]string{"application/json, text/event-stream;q=-1"}, true},
		{[]string{"application/json, text/event-stream;q=NaN"}, true},
		{[]string{"application/json;q=7, text/event-stream"}, true},
		{[]string{"json, text/event-stream;q=0.1"}, true},
		{[]string{"text/event-stream;q=0.1, application/json;q=0.5, text/event-stream"}, false},
	} {
		if got := Prefers(http.Header{"Accept": test.accept}, "text/event-stream"); got != test.want {
			t.Errorf("Accept %q: %t, want %t", test.accept, got, test.want)
		}
	}
}

func TestAcceptsOnlyIsFalseIfAnotherTypeIsNamed(t *testing.T) {
	for _, test := range []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{"text/event-stream"}, true},
		{[]string{" Text/Event-Stream ;charset=utf-8 , "}, true},
		{[]string{"text/event-stream;q=0"}, false},
		{[]string{"text/event-stream, */*;q=0.1"}, false},
		{[]string{"text/event-stream", "application/json"}, false},
		{[]string{"application/json"}, false},
	} {
		if got := AcceptsOnly(http.Header{"Accept": test.accept}, "text/event-stream"); got != test.want {
			t.Errorf("Accept %q: %t, want %t", test.accept, got, test.want)
		}
	}
}

func TestAcceptsReadsParameters(t *testing.T) {
	for mediaType, want := range map[string]string{
		"":                                   "",
		"charset=a":                          "",
		"text/html":                          "",
		"text/html;charset=a":                "a",
		"text/html ; Charset = a ;charset=b": "a",
		`text/html; x="; charset=b"; charset="a\""`: `a"`,
		"text/html; broken; charset=a":              "a",
		"text/html; charset":                        "",
		`text/html; charset="a`:                     `"a`,
	} {
		if got := Parameter(mediaType, "charset"); got != want {
			t.Errorf("%q: %q, want %q", mediaType, got, want)
		}
	}
}
