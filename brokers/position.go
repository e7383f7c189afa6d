package brokers

import (
	"errors"
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
}

// prefix begins what String writes. Applications have event IDs of their own, which
// come in the same field: counts, UUIDs, ULIDs. None of them is to be taken for a
// position.
const prefix = "parker."

// String is the position as clients see it, parker.<epoch>-<offset>, or empty for the
// zero value. They only ever hand it back. All its characters can stand in a URL, in a
// cookie and in a header field as they are (RFC 3986, section 2.3).
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return prefix + p.Epoch + "-" + strconv.FormatUint(p.Offset, 10)
}

// Covers reports whether a client at the position knows the event.
func (p Position) Covers(e Event) bool {
	return !e.Uncounted && p.Epoch == e.Position.Epoch && p.Offset >= e.Position.Offset
}

// Merge is the position that covers what either does. Where both are not of one
// epoch, it is the other.
func (p Position) Merge(other Position) Position {
	if p.Epoch == other.Epoch {
		other.Offset = max(p.Offset, other.Offset)
	}
	return other
}

var errNotAPosition = errors.New("not a position")

// maxEpoch is how long an epoch may be, in bytes.
const maxEpoch = 64

// ParsePosition reads what [Position.String] wrote. The error says no more than
// that it is something else: whoever hands it in has got it elsewhere.
func ParsePosition(text string) (Position, error) {
	after, ours := strings.CutPrefix(text, prefix)
	epoch, count, dashed := strings.Cut(after, "-")
	if !ours || !dashed || !IsEpoch(epoch) {
		return Position{}, errNotAPosition
	}
	offset, err := strconv.ParseUint(count, 10, 64)
	position := Position{Epoch: epoch, Offset: offset}
	if err != nil || position.String() != text {
		return Position{}, errNotAPosition
	}
	return position, nil
}

// IsEpoch reports whether a text can be an epoch: ASCII letters and digits, at most 64.
func IsEpoch(text string) bool {
	return text != "" && len(text) <= maxEpoch && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
