package publication

import (
	"strings"
	"testing"
	"time"
)

func TestTypeIsDeclaredOrDetected(t *testing.T) {
	longest := "text/" + strings.Repeat("x", 250)
	for _, c := range []struct{ declared, body, want string }{
		{"", `{"a":1}`, "application/json"},
		{"", "hello", "text/plain; charset=utf-8"},
		{"text/html; charset=utf-8", "7", "text/html; charset=utf-8"},
		{longest, "x", longest},
	} {
		if got, err := ContentType(c.declared, []byte(c.body)); got != c.want || err != nil {
			t.Errorf("%q, declared as %q, is %q, %v", c.body, c.declared, got, err)
		}
	}
	for _, declared := range []string{"text", "text/plain; charset", "text/plain; a=\"ü\"", "text/plain; a=\"\t\"", "text/plain\r\n", longest + "x"} {
		if got, err := ContentType(declared, []byte("x")); got != "" || err == nil {
			t.Errorf("%q is %q", declared, got)
		}
	}
}

func TestTypeRefusesControlCharacters(t *testing.T) {
	for _, text := range []string{"", "Zürich ☕", "a\u200bb", strings.Repeat("x", 255)} {
		if err := CheckType(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"a\tb", "a\n", "\x00", "\u0085", "\xff", strings.Repeat("x", 256)} {
		if CheckType(text) == nil {
			t.Errorf("%q passes", text)
		}
	}
}

func TestIDRefusesInvisibleCharacters(t *testing.T) {
	for _, text := range []string{"order 7/a", "ü", strings.Repeat("x", 255)} {
		if err := CheckID(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "a\tb", "a\u200bb", "a\u2028b", "\xff", strings.Repeat("x", 256)} {
		if CheckID(text) == nil {
			t.Errorf("%q passes", text)
		}
	}
}

func TestLifetimeReadsMilliseconds(t *testing.T) {
	const most = (1 << 31) * time.Second
	for text, want := range map[string]time.Duration{
		"0": -1, "000": -1, "0.000": -1, "0.0004": -1, "0.001": time.Millisecond, "0.5": 500 * time.Millisecond,
		".5": 500 * time.Millisecond, "1.": time.Second, "1.001": 1001 * time.Millisecond, "1.2345": 1234 * time.Millisecond,
		"4.35": 4350 * time.Millisecond, "007": 7 * time.Second, "90": 90 * time.Second,
		"2147483647": most - time.Second, "2147483649": most, "99999999999999999999": most,
		"1" + strings.Repeat("0", 400): most, "9223372036854775807.9": most + 900*time.Millisecond,
	} {
		if got, err := Lifetime(text); got != want || err != nil {
			t.Errorf("%s is %s, %v, not %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "-1", "+1", "soon", "1e3", "1.2.3", "0,5", " 1", "٣"} {
		if got, err := Lifetime(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
