package brokers

import (
	"math"
	"strings"
	"testing"
)

func TestParsePositionReadsWhatStringWrote(t *testing.T) {
	for want, position := range map[string]Position{
		"parker.e-0":                               {Epoch: "e"},
		"parker.ABCDEFGHIJ-42":                     {Epoch: "ABCDEFGHIJ", Offset: 42},
		"parker.1a-18446744073709551615":           {Epoch: "1a", Offset: math.MaxUint64},
		"parker." + strings.Repeat("x", 64) + "-1": {Epoch: strings.Repeat("x", 64), Offset: 1},
	} {
		if got := position.String(); got != want {
			t.Errorf("%+v is written %q, want %q", position, got, want)
		}
		if got, err := ParsePosition(want); err != nil || got != position {
			t.Errorf("%q is read as %+v, %v", want, got, err)
		}
	}
}

func TestPositionStringOfZeroIsEmpty(t *testing.T) {
	if got := (Position{}).String(); got != "" {
		t.Errorf("it is %q", got)
	}
}

func TestParsePositionRefusesOtherTexts(t *testing.T) {
	for _, text := range []string{
		"", "-", "e", "e-", "-1", "42", "e-x", "e-+1", "e-01", "e-1 ", "e-0x1", "e-18446744073709551616",
		strings.Repeat("x", 65) + "-1",
		"e-1.", "e-.1", "e-1.2", "e-1~n.1", "e-1~", "e-~n.1",
		"a-b-1", "ü-1", "with.dots-1", "with~tildes-1", "parker.e-1", "e\x00-1", "e\n-1",
	} {
		if got, err := ParsePosition("parker." + text); err == nil {
			t.Errorf("parker.%s is read as %v", text, got)
		}
	}
}

// Applications have IDs of their own, which clients send in the same field.
func TestParsePositionRefusesIDsOfApplications(t *testing.T) {
	for _, id := range []string{
		"41", "abc-41", "e-1", "ABCDEFGHIJ-42", "e-1.2~n.7", "1517975029:0", "1526919030474-55", "-1", "0", "42.7", "W/\"42\"",
		"f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-4000-8000-000000000041", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "2026-11-30", "1764547200",
		"urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479", "urn:uuid:00000000-0000-4000-8000-000000000041", "room-7", "parker-1", "parker", "parker.", "parker.41",
		"PARKER.e-1", " parker.e-1", "parker:e-1", "parkere-1",
	} {
		if got, err := ParsePosition(id); err == nil {
			t.Errorf("%q is read as %v", id, got)
		}
	}
}

func TestPositionCoversWhatItsProcessHasReceived(t *testing.T) {
	at := func(epoch string, offset uint64) Event {
		return Event{Channel: "a", Position: Position{Epoch: epoch, Offset: offset}}
	}
	uncounted := at("e", 5)
	uncounted.Uncounted = true
	for _, c := range []struct {
		position Position
		event    Event
		want     bool
	}{
		{Position{"e", 5}, at("e", 5), true},
		{Position{"e", 5}, at("e", 4), true},
		{Position{"e", 4}, at("e", 5), false},
		{Position{"f", 5}, at("e", 5), false},
		{Position{}, at("e", 5), false},
		{Position{"e", 9}, uncounted, false},
	} {
		if got := c.position.Covers(c.event); got != c.want {
			t.Errorf("%v covers %+v: %t", c.position, c.event, got)
		}
	}
}

func TestPositionMergeReturnsLaterOfOneEpochOrElseTheOther(t *testing.T) {
	for _, c := range []struct{ p, other, want Position }{
		{Position{"e", 5}, Position{"e", 3}, Position{"e", 5}},
		{Position{"e", 3}, Position{"e", 5}, Position{"e", 5}},
		{Position{"e", 5}, Position{"f", 1}, Position{"f", 1}},
		{Position{}, Position{"e", 5}, Position{"e", 5}},
	} {
		if got := c.p.Merge(c.other); got != c.want {
			t.Errorf("%v and %v are merged to %v, want %v", c.p, c.other, got, c.want)
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, text := range []string{"e-1", "e-01", "a-b-0", "-1", "e-18446744073709551616", "e-1\n", "\x00-1", "e-1.2", "e-1~n.7"} {
		f.Add(text, "e", uint64(1))
		f.Add("parker."+text, "e", uint64(1))
	}
	f.Add("", "a-", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, text, epoch string, offset uint64) {
		if read, err := ParsePosition(text); err == nil && read.String() != text {
			t.Fatalf("%q is read as %q", text, read)
		}
		written := Position{Epoch: epoch, Offset: offset}
		read, err := ParsePosition(written.String())
		if writable := IsEpoch(epoch); writable != (err == nil) || writable && read != written {
			t.Fatalf("%q is read as %v, %v", written, read, err)
		}
	})
}
