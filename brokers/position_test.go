package brokers

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPositionsAreReadAsTheyWereWritten(t *testing.T) {
	for _, position := range []Position{
		{Epoch: "e"},
		{Epoch: "ABCDEFGHIJ", Offset: 42},
		{Epoch: "13abcdefghijk", Offset: math.MaxUint64},
		{Epoch: strings.Repeat("x", 64), Offset: 1},
		NewPosition("e", 1, []Ahead{{"n", 7}}),
		NewPosition("e", 1, []Ahead{{"b", 0}, {"a", math.MaxUint64}, {strings.Repeat("n", 32), 1}}),
		NewPosition("e", 1, manyAhead(16)),
	} {
		if got, err := ParsePosition(position.String()); err != nil || got != position {
			t.Errorf("%q is read as %v, %v", position, got, err)
		}
	}
}

func TestAPositionIsWrittenInOneWay(t *testing.T) {
	for want, position := range map[string]Position{
		"parker.e-42":                       NewPosition("e", 42, nil),
		"parker.e-0":                        {Epoch: "e"},
		"parker.e-1~NODE.7":                 NewPosition("e", 1, []Ahead{{"NODE", 7}}),
		"parker.e-1~a.1~b.2":                NewPosition("e", 1, []Ahead{{"b", 2}, {"a", 1}}),
		"parker.e-0~n.18446744073709551615": NewPosition("e", 0, []Ahead{{"n", math.MaxUint64}}),
	} {
		if got := position.String(); got != want {
			t.Errorf("%q is written, want %q", got, want)
		}
	}
}

func manyAhead(n int) (ahead []Ahead) {
	for i := range n {
		ahead = append(ahead, Ahead{fmt.Sprintf("node%03d", i), uint64(i)})
	}
	return ahead
}

func TestWhatIsNotAPositionIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "-", "e", "e-", "-1", "42", "e-x", "e-+1", "e-01", "e-1 ", "e-0x1", "e-18446744073709551616",
		strings.Repeat("x", 65) + "-1",
		"e-1.", "e-.1", "e-1.2", "e-1.2~n.1",
		"e-~n.1", "e-1~", "e-1~n", "e-1~n.", "e-1~.1", "e-1~n.x", "e-1~n.01", "e-1~n.1.2", "e-1~n.1~", "e-1~~n.1",
		"e-1~b.1~a.1", "e-1~n.1~n.1", "e-1~n.1~n.2", "e-1~n.1.2~o.1", "e-1~a-b.1", "e-1~a\r\nb.1", "e-1~ü.1", "e-1~a b.1",
		"e-1~" + strings.Repeat("n", 33) + ".1",
		"e-1~" + aheadText(17),
		"a-b-1", "ü-1", "with.dots-1", "with~tildes-1", "parker.e-1", "e\x00-1", "e\n-1",
	} {
		if got, err := ParsePosition("parker." + text); err == nil {
			t.Errorf("parker.%s is read as %v", text, got)
		}
	}
}

// Applications have IDs of their own, and clients hand them back in the same field.
func TestAnIDOfAnApplicationIsNotAPosition(t *testing.T) {
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

func aheadText(n int) string {
	var parts []string
	for _, a := range manyAhead(n) {
		parts = append(parts, a.Node+"."+strconv.FormatUint(a.Number, 10))
	}
	return strings.Join(parts, "~")
}

func TestAPositionTellsItsParts(t *testing.T) {
	p := NewPosition("e", 5, []Ahead{{"b", 2}, {"a", 1}})
	if got := p.Ahead(); !slices.Equal(got, []Ahead{{"a", 1}, {"b", 2}}) {
		t.Errorf("Ahead() = %v", got)
	}
	if plain := (Position{Epoch: "e", Offset: 9}); plain.Ahead() != nil {
		t.Errorf("%v is ahead %v", plain, plain.Ahead())
	}
}

// counted is an event that a log has counted, at a position of its process.
func counted(node string, number, offset uint64) Event {
	return Event{Channel: "a", Position: NewPosition("e", offset, nil), Origin: Origin{Node: node, Number: number}}
}

// uncounted is one that its process has published while the log was away.
func uncounted(node string, number, offset uint64) Event {
	return Event{
		Channel:  "a",
		Position: NewPosition("e", offset, []Ahead{{node, number}}),
		Origin:   Origin{Uncounted: true, Node: node, Number: number},
	}
}

func TestAPositionCoversWhatItsProcessHasReceived(t *testing.T) {
	unlogged := Event{Channel: "a", Position: NewPosition("e", 5, nil), Origin: Origin{Uncounted: true}}
	at := func(ahead []Ahead, offset uint64) Position { return NewPosition("e", offset, ahead) }
	for _, c := range []struct {
		position Position
		event    Event
		want     bool
	}{
		{at(nil, 5), counted("n", 1, 5), true},
		{at(nil, 5), counted("", 0, 4), true},
		{at(nil, 4), counted("n", 1, 5), false},
		{Position{Epoch: "f", Offset: 5}, counted("n", 1, 5), false},
		{Position{}, counted("n", 1, 5), false},

		{at([]Ahead{{"n", 7}}, 5), counted("n", 7, 9), true},
		{at([]Ahead{{"n", 7}}, 5), counted("n", 8, 9), false},
		{at([]Ahead{{"n", 7}}, 5), counted("m", 7, 9), false},
		{at([]Ahead{{"n", 7}}, 5), counted("", 0, 9), false},
		{at([]Ahead{{"n", 7}}, 5), counted("m", 7, 5), true},
		{Position{Epoch: "f", rest: "~n.7"}, counted("n", 7, 5), false},

		{at([]Ahead{{"n", 7}}, 5), uncounted("n", 7, 5), true},
		{at([]Ahead{{"m", 9}, {"n", 7}}, 5), uncounted("n", 7, 9), true},
		{at([]Ahead{{"n", 6}}, 5), uncounted("n", 7, 5), false},
		{at(nil, 9), uncounted("n", 7, 5), false},
		{at(nil, 9), unlogged, false},
		{at([]Ahead{{"n", 7}}, 9), unlogged, false},
	} {
		if got := c.position.Covers(c.event); got != c.want {
			t.Errorf("%v covers %+v: %t", c.position, c.event, got)
		}
	}
}

func TestPositionsAreMerged(t *testing.T) {
	at := func(ahead []Ahead, offset uint64) Position { return NewPosition("e", offset, ahead) }
	for _, c := range []struct{ p, other, want Position }{
		{at(nil, 5), at(nil, 3), at(nil, 5)},
		{at(nil, 3), at(nil, 5), at(nil, 5)},
		{at([]Ahead{{"n", 7}}, 5), at(nil, 6), at([]Ahead{{"n", 7}}, 6)},
		{at(nil, 6), at([]Ahead{{"n", 7}}, 5), at([]Ahead{{"n", 7}}, 6)},
		{at([]Ahead{{"a", 1}, {"n", 7}}, 5), at([]Ahead{{"n", 8}, {"o", 1}}, 5), at([]Ahead{{"a", 1}, {"n", 8}, {"o", 1}}, 5)},
		{at(nil, 5), Position{Epoch: "f", Offset: 1}, Position{Epoch: "f", Offset: 1}},
		{Position{}, at(nil, 5), at(nil, 5)},
	} {
		if got := c.p.Merge(c.other); got != c.want {
			t.Errorf("%v and %v are merged to %v, want %v", c.p, c.other, got, c.want)
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, text := range []string{
		"e-1", "e-01", "a-b-0", "-1", "e-18446744073709551616", "e-1\n", "\x00-1",
		"e-1.2", "e-1.", "e-1~n.7", "e-1~a.1~b.2", "e-1~b.1~a.2", "e-1~n.1~n.1",
	} {
		f.Add(text, "e", uint64(1))
		f.Add("parker."+text, "e", uint64(1))
	}
	f.Add("", "a-", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, text, epoch string, offset uint64) {
		if read, err := ParsePosition(text); err == nil {
			if read.String() != text {
				t.Fatalf("%q is read as %q", text, read)
			}
			if again := NewPosition(read.Epoch, read.Offset, read.Ahead()); again != read {
				t.Fatalf("the parts of %q make %q", text, again)
			}
		}
		written := Position{Epoch: epoch, Offset: offset}
		read, err := ParsePosition(written.String())
		if writable := IsEpoch(epoch); writable != (err == nil) || writable && read != written {
			t.Fatalf("%q is read as %v, %v", written, read, err)
		}
	})
}

// parts makes positions and events of one epoch out of bytes. At their end it is
// all 0.
type parts []byte

func (p *parts) number(below uint64) uint64 {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return uint64(b) % below
}

func (p *parts) position() Position {
	offset := p.number(6)
	var ahead []Ahead
	for _, node := range []string{"a", "b", "c"} {
		if number := p.number(6); number > 0 {
			ahead = append(ahead, Ahead{node, number})
		}
	}
	return NewPosition("e", offset, ahead)
}

func (p *parts) event() Event {
	return Event{
		Channel:  "a",
		Position: p.position(),
		Origin: Origin{
			Uncounted: p.number(2) == 1,
			Node:      []string{"", "a", "b", "c"}[p.number(4)],
			Number:    p.number(6),
		},
	}
}

// FuzzMerge holds positions of one log against what merging promises.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{0, 5, 1, 2, 3, 4, 0, 0, 7})
	f.Add([]byte{2, 1, 2, 3, 0, 0, 0, 3, 2, 1, 4, 0, 1, 5, 5, 5, 0, 3, 0, 1, 1, 2})
	f.Add([]byte{1, 200, 100, 50, 25, 12, 6, 3, 1, 0, 1, 3, 6, 12, 25, 50, 100, 200, 255})
	f.Fuzz(func(t *testing.T, text []byte) {
		bytes := parts(text)
		p, q, r := bytes.position(), bytes.position(), bytes.position()
		merged := p.Merge(q)
		if other := q.Merge(p); merged != other {
			t.Fatalf("%v and %v are merged to %v, the other way round to %v", p, q, merged, other)
		}
		if p.Merge(p) != p || merged.Merge(p) != merged || merged.Merge(q) != merged {
			t.Fatalf("merging %v and %v again changes %v", p, q, merged)
		}
		if one, other := merged.Merge(r), p.Merge(q.Merge(r)); one != other {
			t.Fatalf("%v, %v and %v are merged to %v or %v", p, q, r, one, other)
		}
		if read, err := ParsePosition(merged.String()); err != nil || read != merged {
			t.Fatalf("the merged %v is read as %v, %v", merged, read, err)
		}
		for range 8 {
			e := bytes.event()
			if got, want := merged.Covers(e), p.Covers(e) || q.Covers(e); got != want {
				t.Fatalf("of %v and %v, merged to %v, %+v is covered: %t", p, q, merged, e, got)
			}
		}
	})
}
