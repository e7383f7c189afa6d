package brokers

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Position is what a client knows of a broker's events: all up to an offset. That
// counts all events, not one channel's, so one position serves any set of channels.
// Epoch changes when the count is lost.
//
// Positions can be compared with ==. The zero value is none.
type Position struct {
	Epoch  string
	Offset uint64

	// rest is the remainder of what String writes: what the position covers besides.
	rest string
}

// Ahead is what a position covers of the events that a process published while the
// broker could not count them: those up to Number.
type Ahead struct {
	Node   string
	Number uint64
}

// NewPosition makes a position of an offset, and of what it covers besides, at most one
// for each node.
func NewPosition(epoch string, offset uint64, ahead []Ahead) Position {
	p := Position{Epoch: epoch, Offset: offset}
	var rest []byte
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
//	parker.<epoch>-<offset>[~<node>.<number>...]
//
// They only ever hand it back. All its characters can stand in a URL, in a cookie and
// in a header field as they are (RFC 3986, section 2.3).
func (p Position) String() string {
	return prefix + p.Epoch + "-" + strconv.FormatUint(p.Offset, 10) + p.rest
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
		return offset != 0 && p.Offset >= offset
	}
	return p.Offset >= e.Position.Offset
}

// counted is the offset of an event that was counted after it was delivered, or 0.
func (e Event) counted() uint64 {
	if e.Counted == nil {
		return 0
	}
	return e.Counted.Load()
}

// Merge is the position that covers what either does. Where both are not of one
// epoch, it is the other.
func (p Position) Merge(other Position) Position {
	if p.Epoch != other.Epoch {
		return other
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
	return NewPosition(p.Epoch, max(p.Offset, other.Offset), ahead)
}

var errNotAPosition = errors.New("not a position")

// What there is in a position at most.
const (
	maxEpoch = 64 // bytes
	maxAhead = 16
	maxNode  = 32 // bytes
)

// ParsePosition reads what [Position.String] wrote. The error says no more than
// that it is something else: whoever hands it in has got it elsewhere.
func ParsePosition(text string) (Position, error) {
	after, ours := strings.CutPrefix(text, prefix)
	epoch, rest, dashed := strings.Cut(after, "-")
	if !ours || !dashed || !IsEpoch(epoch) {
		return Position{}, errNotAPosition
	}
	count, _, _ := strings.Cut(rest, "~")
	offset, err := strconv.ParseUint(count, 10, 64)
	if err != nil {
		return Position{}, errNotAPosition
	}
	ahead, err := parseAhead(rest)
	if err != nil {
		return Position{}, err
	}
	position := NewPosition(epoch, offset, ahead)
	if position.String() != text {
		return Position{}, errNotAPosition
	}
	return position, nil
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
