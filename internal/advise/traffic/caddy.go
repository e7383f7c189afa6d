package traffic

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

// caddyEntry is an entry of Caddy's access log, as logRequest of its package caddyhttp and the
// default settings of its JSON encoder write it.
type caddyEntry struct {
	Level  string `json:"level"`
	Logger string `json:"logger"`
	caddyTimes
	Request *struct {
		RemoteIP string      `json:"remote_ip"`
		ClientIP string      `json:"client_ip"`
		Method   string      `json:"method"`
		Host     string      `json:"host"`
		URI      string      `json:"uri"`
		Headers  http.Header `json:"headers"`
	} `json:"request"`
	UserID   string          `json:"user_id"`
	Duration json.RawMessage `json:"duration"`
	Size     *int64          `json:"size"`
	Status   *int            `json:"status"`
	Answer   http.Header     `json:"resp_headers"`
}

// caddyTimes is the time, under Caddy's own name and those that collectors of logs want, which
// the option time_key sets.
type caddyTimes struct {
	TS          json.RawMessage `json:"ts"`
	Time        json.RawMessage `json:"time"`
	Timestamp   json.RawMessage `json:"timestamp"`
	AtTimestamp json.RawMessage `json:"@timestamp"`
}

// logged returns when the entry was logged, and the step of that clock.
func (c *caddyTimes) logged() (logged time.Time, step time.Duration, known bool) {
	for _, value := range [...]json.RawMessage{c.TS, c.Time, c.Timestamp, c.AtTimestamp} {
		if value != nil {
			return caddyTime(value)
		}
	}
	return time.Time{}, 0, false
}

// accessLogger is the name of the logger of access logs. A site's own log has its name after
// it. Other loggers write similar entries for the same requests.
const accessLogger = "http.log.access"

// consoleLine splits a line of Caddy's console format, which has columns before the JSON
// object. In the JSON format there are none, but what collects logs, such as the journal of
// systemd, may have added some. found is false for a line of another kind.
func consoleLine(line []byte) (columns []string, object []byte, found bool) {
	if line[0] == '{' {
		return nil, line, true
	}
	if i := bytes.Index(line, []byte(`{"level":`)); i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
		return nil, line[i:], true
	}
	before, after, found := bytes.Cut(line, []byte("\t{"))
	if !found {
		return nil, nil, false
	}
	return strings.Split(string(before), "\t"), line[len(line)-len(after)-1:], true
}

// caddy reads an entry of Caddy's access log. Begun is the time when it was logged. columns
// are time, level, logger and message in the console format, and nil in the JSON format.
func (t *reading) caddy(columns []string, object []byte) (o advise.Observation, why Why) {
	var entry caddyEntry
	err := json.Unmarshal(object, &entry)
	// A filter may have replaced a field by a value of another type.
	if mismatch := (*json.UnmarshalTypeError)(nil); err != nil && !errors.As(err, &mismatch) {
		return o, Unknown
	}
	logged, step, known := entry.logged()
	if len(columns) > 0 {
		logged, step, known = wallTime(columns[0])
	}
	if len(columns) > 2 {
		entry.Level, entry.Logger = columns[1], columns[2]
	}
	request := entry.Request
	other := entry.Logger != "" && entry.Logger != accessLogger && !strings.HasPrefix(entry.Logger, accessLogger+".")
	switch {
	case entry.Logger == "" && entry.Level == "" && (request == nil || request.Method == "" || entry.Status == nil):
		return o, OtherJSON
	case other || request == nil || entry.Status == nil:
		return o, NotAccess
	case !known:
		return o, Unknown
	case !isToken(request.Method) || !isTarget(request.URI):
		return o, NotRequest
	}
	address := request.ClientIP
	if address == "" {
		address = request.RemoteIP
	}
	size := int64(0)
	if entry.Size != nil {
		size = *entry.Size
	}
	o = advise.Observation{
		Begun:   logged,
		Step:    step,
		Took:    t.caddyDuration(entry.Duration),
		Client:  t.key.Digest("client", address, field(request.Headers, "User-Agent"), entry.UserID),
		Host:    hostOf(request.Host),
		Method:  request.Method,
		Request: t.key.Request(request.Headers),
		Status:  *entry.Status,
		Answer:  t.key.Answer(entry.Answer),
		Length:  -1,
		Sent:    max(size, 0),
		Logged:  entry.Size != nil,
	}
	setTarget(&o, request.URI)
	return o, ""
}

// field returns all values of a field, which a log may have in any case.
func field(header http.Header, name string) string {
	if values, found := header[name]; found {
		return strings.Join(values, "; ")
	}
	for other, values := range header {
		if strings.EqualFold(other, name) {
			return strings.Join(values, "; ")
		}
	}
	return ""
}

// caddyTime reads a time in each of the formats of Caddy's log encoders. Those without a time
// zone are taken for UTC.
func caddyTime(value json.RawMessage) (logged time.Time, step time.Duration, known bool) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return wallTime(text)
	}
	number, err := strconv.ParseFloat(string(value), 64)
	switch {
	case err != nil || number <= 0:
		return time.Time{}, 0, false
	case number < 1e11:
		return fromUnix(number), 0, true
	case number < 1e14:
		return fromUnix(number / 1e3), 0, true
	}
	nanoseconds, err := strconv.ParseInt(string(value), 10, 64)
	return time.Unix(0, nanoseconds).UTC(), 0, err == nil
}

// fromUnix returns the time for seconds since 1970. More digits than microseconds would be
// noise.
func fromUnix(seconds float64) time.Time {
	return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC()
}

// wallTimes are the layouts of Caddy's options for time_format. Fractions of a second are
// read with each.
var wallTimes = []string{"2006/01/02 15:04:05", time.RFC3339, "2006-01-02T15:04:05Z0700", "02/Jan/2006:15:04:05 -0700"}

// wallTime reads a time as text. Without a fraction, its clock has steps of a second.
func wallTime(text string) (logged time.Time, step time.Duration, known bool) {
	for _, layout := range wallTimes {
		if logged, err := time.Parse(layout, text); err == nil {
			if !strings.Contains(text, ".") {
				step = time.Second
			}
			return logged.UTC(), step, true
		}
	}
	return time.Time{}, 0, false
}

// caddyDuration reads a duration with its unit, or in seconds, which have a decimal point.
// Integers are nanoseconds, or milliseconds from the first one that is too short for
// nanoseconds. It is 0 if it is not known.
func (t *reading) caddyDuration(value json.RawMessage) time.Duration {
	var text string
	if json.Unmarshal(value, &text) == nil {
		duration, _ := time.ParseDuration(text)
		return sane(duration)
	}
	number, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		seconds, _ := strconv.ParseFloat(string(value), 64)
		return inSeconds(seconds)
	}
	const leastNanoseconds = 10_000
	if t.milliseconds = t.milliseconds || number >= 0 && number < leastNanoseconds; t.milliseconds {
		return milliseconds(float64(number))
	}
	return sane(time.Duration(number))
}
