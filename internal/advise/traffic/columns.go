package traffic

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// columns is what is read from the columns after the User-Agent.
type columns struct {
	took      time.Duration
	ended     bool   // the log has the time at which the answer had ended
	forwarded string // X-Forwarded-For: the client behind a proxy
}

// maxColumns limits the work for a line with very many columns.
const maxColumns = 32

// readColumns reads how long the answer took: the first decimal number is $request_time of
// nginx, a number with a unit is Traefik's, and an integer is %D of Apache. Two integers are
// %I and %O, the bytes of the request and of the answer.
func readColumns(text []byte) (c columns) {
	var integers []string
	known := false
	for range maxColumns {
		if text = bytes.TrimLeft(text, " "); len(text) == 0 {
			break
		}
		var name, value string
		name, value, text = column(text)
		switch {
		case isAddressList(value):
			c.forwarded = value
		case known || !namesDuration(name):
		case isInteger(value):
			integers = append(integers, value)
		default:
			c.took, c.ended, known = duration(value)
		}
	}
	if !known && len(integers) == 1 {
		microseconds, err := strconv.ParseInt(integers[0], 10, 64)
		if err == nil && microseconds <= longestRequest.Microseconds() {
			c.took = time.Duration(microseconds) * time.Microsecond
		}
	}
	return c
}

// column reads a column, with or without quotation marks, and with or without a name before
// it as in rt=0.123.
func column(text []byte) (name, value string, rest []byte) {
	end := bytes.IndexAny(text, ` "`)
	if end >= 0 && text[end] == '"' {
		name = strings.TrimSuffix(string(text[:end]), "=")
		value, rest, closed := quoted(text[end:])
		if !closed {
			return "", "", nil
		}
		return name, value, rest
	}
	if end < 0 {
		end = len(text)
	}
	value, rest = string(text[:end]), text[end:]
	if name, after, found := strings.Cut(value, "="); found {
		return name, after, rest
	}
	return "", value, rest
}

// namesDuration reports whether a column with this name, or without one, can be how long the
// answer took, and not how long the backend took, for example.
func namesDuration(name string) bool {
	switch strings.ToLower(name) {
	case "", "rt", "request_time", "duration", "took", "time", "d":
		return true
	}
	return false
}

func isInteger(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// duration reads a decimal number of seconds, which is of nginx, or a number with a unit.
func duration(text string) (took time.Duration, ended, known bool) {
	if text == "" || len(text) > 32 || text[0] < '0' || text[0] > '9' {
		return 0, false, false
	}
	if strings.Trim(text, "0123456789.") == "" {
		seconds, err := strconv.ParseFloat(text, 64)
		return inSeconds(seconds), true, err == nil
	}
	took, err := time.ParseDuration(text)
	return sane(took), false, err == nil
}

// isAddressList reports whether the text is X-Forwarded-For. A number is no address.
func isAddressList(text string) bool {
	if !strings.ContainsAny(text, ".:") {
		return false
	}
	for address := range strings.SplitSeq(text, ",") {
		if !isAddress(strings.TrimSpace(address)) {
			return false
		}
	}
	return true
}
