package redis

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// id is the ID of an entry in a stream as one number, which is the entry's offset. The
// server assigns IDs from its clock in milliseconds and a counter within the millisecond.
// The high bits hold the time, which fits until the year 2109. The low bits hold the
// counter, which fits for four million entries in one millisecond. No entry has the ID
// zero.
type id uint64

const (
	countBits = 22
	maxCount  = 1<<countBits - 1
	maxTime   = 1<<(64-countBits) - 1
)

func parseID(text string) (id, error) {
	before, after, _ := strings.Cut(text, "-")
	milliseconds, err := strconv.ParseUint(before, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("'%s' is not the ID of an entry", text)
	}
	count, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("'%s' is not the ID of an entry", text)
	}
	if milliseconds > maxTime || count > maxCount {
		return 0, fmt.Errorf("the ID %s is too large: delete the stream, and let the server choose IDs", text)
	}
	return id(milliseconds<<countBits | count), nil
}

func (i id) milliseconds() uint64 { return uint64(i) >> countBits }

func (i id) time() time.Time { return time.UnixMilli(int64(i.milliseconds())) }

func (i id) String() string {
	return strconv.FormatUint(i.milliseconds(), 10) + "-" + strconv.FormatUint(uint64(i)&maxCount, 10)
}
