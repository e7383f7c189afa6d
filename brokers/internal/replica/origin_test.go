package replica

import (
	"strings"
	"testing"
)

func TestParseNumberNeedsNodeAndNumber(t *testing.T) {
	for _, c := range []struct {
		node, text string
		want       uint64
	}{
		{"", "", 0},
		{"N1", "7", 7},
		{strings.Repeat("n", 32), "18446744073709551615", 1<<64 - 1},
	} {
		if got, err := ParseNumber(c.node, c.text); got != c.want || err != nil {
			t.Errorf("%q of %q is %d, %v", c.text, c.node, got, err)
		}
	}
	for _, c := range []struct{ node, text string }{
		{"n", ""}, {"", "1"}, {"n", "0"}, {"n", "-1"}, {"n", "18446744073709551616"}, {strings.Repeat("n", 33), "1"},
	} {
		if got, err := ParseNumber(c.node, c.text); err == nil {
			t.Errorf("%q of %q is %d", c.text, c.node, got)
		}
	}
}
