package brokers

import (
	"math"
	"strings"
	"testing"
)

func TestPositionsAreReadAsTheyWereWritten(t *testing.T) {
	for _, position := range []Position{
		{"e", 0},
		{"ABCDEFGHIJ", 42},
		{"an-epoch-that-ends-in-a-dash-", math.MaxUint64},
		{"ü", 7},
		{strings.Repeat("x", 64), 1},
	} {
		if got, err := ParsePosition(position.String()); err != nil || got != position {
			t.Errorf("%q is read as %v, %v", position, got, err)
		}
	}
}

func TestWhatIsNotAPositionIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "-", "e", "e-", "-1", "42", "e-x", "e-+1", "e-01", "e-1 ", "e-0x1", "e-18446744073709551616",
		strings.Repeat("x", 65) + "-1",
	} {
		if got, err := ParsePosition(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, text := range []string{"e-1", "e-01", "a-b-0", "-1", "e-18446744073709551616", "e-1\n", "\x00-1"} {
		f.Add(text, "e", uint64(1))
	}
	f.Add("", "a-", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, text, epoch string, offset uint64) {
		if read, err := ParsePosition(text); err == nil && read.String() != text {
			t.Fatalf("%q is read as %q", text, read)
		}
		written := Position{epoch, offset}
		read, err := ParsePosition(written.String())
		if writable := epoch != "" && len(epoch) <= 64; writable != (err == nil) || writable && read != written {
			t.Fatalf("%q is read as %v, %v", written, read, err)
		}
	})
}
