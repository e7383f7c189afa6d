package advise

import (
	"encoding/json"
	"strconv"
	"time"
)

// nearNow is how far a clock may be off. Many show no seconds.
const nearNow = 90 * time.Second

// isTime reports whether a number is about the time of a request, in seconds, milliseconds
// or microseconds since 1970.
func isTime(number, begun int64) bool { return isWithin(number, begun, 24*time.Hour) }

func isWithin(number, begun int64, limit time.Duration) bool {
	seconds := begun / 1e9
	for _, unit := range []int64{1, 1e3, 1e6} {
		if d := number/unit - seconds; d > -int64(limit/time.Second) && d < int64(limit/time.Second) {
			return true
		}
	}
	return false
}

// isNowNumber reports whether a number is the present time.
func isNowNumber(number json.Number, at time.Time) bool {
	value, err := strconv.ParseFloat(number.String(), 64)
	return err == nil && value > 1e9 && value < 1e17 && isWithin(int64(value), at.UnixNano(), nearNow)
}

// withZone and withoutZone are how applications write the time.
var (
	withZone    = []string{time.RFC3339, time.RFC1123, time.RFC1123Z}
	withoutZone = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "02.01.2006 15:04:05", "02.01.2006 15:04",
		"01/02/2006 15:04:05", "15:04:05", "15:04"}
)

// isNow reports whether a text is the present time. Time zones differ by quarters of an hour.
func isNow(text string, at time.Time) bool {
	if len(text) < 5 || len(text) > 40 || text[0] < '0' || text[0] > '9' && text[0] < 'A' || text[0] > 'Z' {
		return false
	}
	for _, layout := range withZone {
		if value, err := time.Parse(layout, text); err == nil {
			return value.Sub(at).Abs() < nearNow
		}
	}
	const quarter = 15 * 60 // seconds
	const near = int64(nearNow / time.Second)
	for _, layout := range withoutZone {
		if value, err := time.Parse(layout, text); err == nil {
			off := ((value.Unix()-at.Unix())%quarter + quarter) % quarter
			return off < near || off > quarter-near
		}
	}
	return false
}
