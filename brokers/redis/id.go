package redis

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// id is that of an entry in a stream: a time by the server's clock in milliseconds,
// and a count of those of one millisecond.
type id struct {
	milliseconds, sequence uint64
}

// An offset is an ID in one number: the time above, the sequence in the lowest bits.
// Time fits in until the year 2109.
const (
	sequenceBits = 22
	maxSequence  = 1<<sequenceBits - 1
	maxTime      = 1<<(64-sequenceBits) - 1
)

func parseID(text string) (id, error) {
	before, after, _ := strings.Cut(text, "-")
	milliseconds, err := strconv.ParseUint(before, 10, 64)
	if err != nil {
		return id{}, fmt.Errorf("'%s' is not the ID of an entry", text)
	}
	sequence, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return id{}, fmt.Errorf("'%s' is not the ID of an entry", text)
	}
	return id{milliseconds, sequence}, nil
}

// idAt is the ID with an offset.
func idAt(offset uint64) id {
	return id{offset >> sequenceBits, offset & maxSequence}
}

// offset is not there where an ID is too large for one. The server makes no such ID
// by itself, but counts on from one that it was given.
func (i id) offset() (offset uint64, ok bool) {
	return i.milliseconds<<sequenceBits | i.sequence, i.milliseconds <= maxTime && i.sequence <= maxSequence
}

func (i id) compare(other id) int {
	return cmp.Or(cmp.Compare(i.milliseconds, other.milliseconds), cmp.Compare(i.sequence, other.sequence))
}

func (i id) time() time.Time {
	return time.UnixMilli(int64(i.milliseconds))
}

func (i id) String() string {
	return strconv.FormatUint(i.milliseconds, 10) + "-" + strconv.FormatUint(i.sequence, 10)
}
