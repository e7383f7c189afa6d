package brokers

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Position is what a client knows of a broker's events: all up to an offset, in
// each of the broker's counts. A count is of all events, not of one channel's, so
// one position serves any set of channels. Epoch changes when the counts are lost.
//
// Positions can be compared with ==. The zero value is none.
type Position struct {
	Epoch string

	// Offset is that in the first count, mostly the only one.
	Offset uint64

	// rest is the remainder of what String writes: the offsets in the further
	// counts, then what the position covers besides.
	rest string
}

// Ahead is what a position covers of the events that a process published while the
// broker could not count them: those up to Number.
type Ahead struct {
	Node   string
	Number uint64
}

// NewPosition makes a position of the offsets in all counts, one at least, and of
// what it covers besides, at most one for each node.
func NewPosition(epoch string, offsets []uint64, ahead []Ahead) Position {
	p := Position{Epoch: epoch, Offset: offsets[0]}
	if len(offsets) == 1 && len(ahead) == 0 {
		return p
	}
	var rest []byte
	for _, offset := range offsets[1:] {
		rest = strconv.AppendUint(append(rest, '.'), offset, 10)
	}
	ahead = slices.SortedFunc(slices.Values(ahead), func(a, b Ahead) int { return strings.Compare(a.Node, b.Node) })
	for _, a := range ahead {
		rest = append(append(append(rest, '~'), a.Node...), '.')
		rest = strconv.AppendUint(rest, a.Number, 10)
	}
	p.rest = string(rest)
	return p
}

// prefix begins what String writes. Applications have event IDs of their own, which
// come in the same field: counts, UUIDs, ULIDs. None of them is to be taken for a
// position.
const prefix = "parker."

// String is the position as clients see it:
//
//	parker.<epoch>-<offset>[.<offset>...][~<node>.<number>...]
//
// They only ever hand it back. All its characters can stand in a URL, in a cookie and
// in a header field as they are (RFC 3986, section 2.3).
func (p Position) String() string {
	return prefix + p.Epoch + "-" + strconv.FormatUint(p.Offset, 10) + p.rest
}

// Offsets are those in all counts.
func (p Position) Offsets() []uint64 {
	offsets := []uint64{p.Offset}
	further, _, _ := strings.Cut(p.rest, "~")
	for text := range strings.SplitSeq(strings.TrimPrefix(further, "."), ".") {
		if text != "" {
			offset, _ := strconv.ParseUint(text, 10, 64)
			offsets = append(offsets, offset)
		}
	}
	return offsets
}

// OffsetIn is that in one of the counts, or 0 if there is none of that number.
func (p Position) OffsetIn(count int) uint64 {
	if count == 0 {
		return p.Offset
	}
	if offsets := p.Offsets(); count < len(offsets) {
		return offsets[count]
	}
	return 0
}

// Ahead is what the position covers besides, in order of the nodes' names.
func (p Position) Ahead() []Ahead {
	_, list, found := strings.Cut(p.rest, "~")
	if !found {
		return nil
	}
	var ahead []Ahead
	for text := range strings.SplitSeq(list, "~") {
		node, number, _ := strings.Cut(text, ".")
		n, _ := strconv.ParseUint(number, 10, 64)
		ahead = append(ahead, Ahead{node, n})
	}
	return ahead
}

// Covers tells whether a client at the position knows the event.
func (p Position) Covers(e Event) bool {
	switch {
	case p.Epoch != e.Position.Epoch:
		return false
	case p.rest == "" && e.Position.rest == "":
		return !e.Uncounted && p.Offset >= e.Position.Offset
	case e.Node != "" && slices.ContainsFunc(p.Ahead(), func(a Ahead) bool { return a.Node == e.Node && a.Number >= e.Number }):
		return true
	case e.Uncounted:
		// A client may have got it from another process since, where it was counted.
		offset := e.counted()
		return offset != 0 && p.OffsetIn(e.Shard) >= offset
	}
	return p.OffsetIn(e.Shard) >= e.Position.OffsetIn(e.Shard)
}

// counted is the offset of an event that was counted after it was delivered, or 0.
func (e Event) counted() uint64 {
	if e.Counted == nil {
		return 0
	}
	return e.Counted.Load()
}

// Merge is the position that covers what either does. Where both are not of one
// epoch, or not of the same counts, it is the other.
func (p Position) Merge(other Position) Position {
	if p.Epoch != other.Epoch {
		return other
	}
	if p.rest == "" && other.rest == "" {
		return Position{Epoch: p.Epoch, Offset: max(p.Offset, other.Offset)}
	}
	offsets, others := p.Offsets(), other.Offsets()
	if len(offsets) != len(others) {
		return other
	}
	for i := range offsets {
		offsets[i] = max(offsets[i], others[i])
	}
	ahead := p.Ahead()
	for _, a := range other.Ahead() {
		at := slices.IndexFunc(ahead, func(mine Ahead) bool { return mine.Node == a.Node })
		if at < 0 {
			ahead = append(ahead, a)
		} else {
			ahead[at].Number = max(ahead[at].Number, a.Number)
		}
	}
	return NewPosition(p.Epoch, offsets, ahead)
}

var errNotAPosition = errors.New("not a position")

// What there is in a position at most.
const (
	maxEpoch  = 64 // bytes
	maxCounts = 64
	maxAhead  = 16
	maxNode   = 32 // bytes
)

// ParsePosition reads what [Position.String] wrote. The error says no more than
// that it is something else: whoever hands it in has got it elsewhere.
func ParsePosition(text string) (Position, error) {
	after, ours := strings.CutPrefix(text, prefix)
	epoch, counts, dashed := strings.Cut(after, "-")
	if !ours || !dashed || !IsEpoch(epoch) {
		return Position{}, errNotAPosition
	}
	offsets, err := parseOffsets(counts)
	if err != nil {
		return Position{}, err
	}
	ahead, err := parseAhead(counts)
	if err != nil {
		return Position{}, err
	}
	position := NewPosition(epoch, offsets, ahead)
	if position.String() != text {
		return Position{}, errNotAPosition
	}
	return position, nil
}

func parseOffsets(text string) ([]uint64, error) {
	list, _, _ := strings.Cut(text, "~")
	if strings.Count(list, ".") >= maxCounts {
		return nil, errNotAPosition
	}
	var offsets []uint64
	for text := range strings.SplitSeq(list, ".") {
		offset, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, errNotAPosition
		}
		offsets = append(offsets, offset)
	}
	return offsets, nil
}

// IsEpoch reports whether a text can be an epoch: ASCII letters and digits, at most 64.
func IsEpoch(text string) bool { return text != "" && len(text) <= maxEpoch && isWord(text) }

// IsNode tells whether a text can be the name of a node: ASCII letters and digits, not
// too many. Clients hand it back, in what they are then sent again.
func IsNode(text string) bool { return text != "" && len(text) <= maxNode && isWord(text) }

// isWord reports whether a text is of ASCII letters and digits only. Then it can be in a
// position, where other characters separate.
func isWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func parseAhead(text string) ([]Ahead, error) {
	_, list, found := strings.Cut(text, "~")
	if !found {
		return nil, nil
	}
	if strings.Count(list, "~") >= maxAhead {
		return nil, errNotAPosition
	}
	var ahead []Ahead
	for text := range strings.SplitSeq(list, "~") {
		node, text, _ := strings.Cut(text, ".")
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil || !IsNode(node) {
			return nil, errNotAPosition
		}
		if n := len(ahead); n > 0 && ahead[n-1].Node >= node {
			return nil, errNotAPosition
		}
		ahead = append(ahead, Ahead{node, number})
	}
	return ahead, nil
}
