package brokers

import (
	"errors"
	"strconv"
	"strings"
)

// Position is where a broker's events stand. Offset counts all events, not one
// channel's, so one position serves any set of channels; Epoch changes when the
// count is lost.
type Position struct {
	Epoch  string
	Offset uint64
}

// String is the position as clients see it, <epoch>-<offset>. They only ever
// hand it back.
func (p Position) String() string {
	return p.Epoch + "-" + strconv.FormatUint(p.Offset, 10)
}

var errNotAPosition = errors.New("not a position")

// maxEpoch is the length of an epoch in bytes, at most.
const maxEpoch = 64

// ParsePosition reads what [Position.String] wrote. The error says no more than
// that it is something else: whoever hands it in has got it elsewhere.
func ParsePosition(text string) (Position, error) {
	at := strings.LastIndexByte(text, '-')
	if at < 1 || at > maxEpoch {
		return Position{}, errNotAPosition
	}
	offset, err := strconv.ParseUint(text[at+1:], 10, 64)
	if err != nil || (Position{text[:at], offset}).String() != text {
		return Position{}, errNotAPosition
	}
	return Position{text[:at], offset}, nil
}
