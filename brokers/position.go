package brokers

import (
	"errors"
	"strconv"
	"strings"
)

// Position states up to which offset a client knows a broker's events. The offset
// counts all events, not those of one channel, so one position serves any set of
// channels. Epoch changes when the count is lost.
//
// Positions can be compared with ==. The zero value is not a position.
type Position struct {
	Epoch  string
	Offset uint64
}

// prefix starts the text form of a position. Applications send event IDs of their own
// in the same field, such as counters, UUIDs and ULIDs. The prefix keeps them from
// being mistaken for positions.
const prefix = "parker."

// String returns the position as clients see it, parker.<epoch>-<offset>, or the empty
// string for the zero value. Clients treat it as opaque. It contains only unreserved
// characters (RFC 3986, section 2.3), so it needs no escaping in a URL, a cookie or a
// header field.
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

// Merge returns the position that covers what either of the two covers. If their
// epochs differ, it returns other.
func (p Position) Merge(other Position) Position {
	if p.Epoch == other.Epoch {
		other.Offset = max(p.Offset, other.Offset)
	}
	return other
}

var errNotAPosition = errors.New("not a position")

// maxEpoch is the maximum length of an epoch, in bytes.
const maxEpoch = 64

// ParsePosition parses the output of [Position.String]. The error gives no detail, as
// any other text is an event ID that does not come from parker.
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

// IsEpoch reports whether text can be an epoch: 1 to 64 ASCII letters and digits.
func IsEpoch(text string) bool {
	return text != "" && len(text) <= maxEpoch && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
