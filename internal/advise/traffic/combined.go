package traffic

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

// combined reads a line of the common or combined format, with or without the virtual host
// before it and more columns after it. ended is true if Begun is when the answer had ended:
// nginx logs that time, and Apache the one at which the request came. Where the two cannot be
// told apart, how long the answer took is not known, either. last is true if the file ends
// within the line: then a server may still be writing it.
func (t *reading) combined(line []byte, last bool) (o advise.Observation, ended bool, why Why) {
	before, logged, after, found := t.clock.find(line)
	if !found {
		return o, false, Unknown
	}
	host, address, user, found := sender(string(before))
	if !found || len(after) == 0 || after[0] != '"' {
		return o, false, Unknown
	}
	request, rest, closed := quoted(after)
	status, size, rest, found := outcome(rest)
	if !closed || !found {
		return o, false, Unknown
	}
	before, rest = beforeReferrer(rest)
	agent, rest, found := agentOf(rest)
	if !found {
		return o, false, Unknown
	}
	if last && agent == "" && t.agents {
		return o, false, CutOff
	}
	t.agents = agent != ""
	method, target, found := requestLine(request)
	if !found {
		return o, false, NotRequest
	}
	columns := readColumns(slices.Concat(before, rest))
	o = advise.Observation{
		Begun:  logged,
		Step:   t.clock.step,
		Took:   columns.took,
		Client: t.key.Digest("client", address, columns.forwarded, agent, user),
		Host:   hostOf(host),
		Method: strings.Clone(method),
		Status: status,
		Length: -1,
		Sent:   size,
		Logged: true,
	}
	setTarget(&o, target)
	return o, columns.ended, ""
}

// beforeReferrer splits off the columns that some logs have between the size and the Referer.
func beforeReferrer(text []byte) (columns, rest []byte) {
	if i := bytes.IndexByte(text, '"'); i > 0 && text[i-1] == ' ' {
		return text[:i], text[i:]
	}
	return nil, text
}

// agentOf reads the Referer and the User-Agent, if the line has them. found is false if the
// line is cut.
func agentOf(text []byte) (agent string, rest []byte, found bool) {
	rest = bytes.TrimLeft(text, " ")
	if len(rest) == 0 || rest[0] != '"' {
		return "", rest, true
	}
	if _, rest, found = quoted(rest); !found {
		return "", nil, false
	}
	if rest = bytes.TrimLeft(rest, " "); len(rest) > 0 && rest[0] == '"' {
		agent, rest, _ = quoted(rest)
	}
	return agent, rest, true
}

// sender splits what stands before the time: the virtual host, if there is one, the address,
// the identity that nobody uses, and the user, whose name may contain spaces.
func sender(text string) (host, address, user string, found bool) {
	words := strings.Fields(text)
	if list := addressesIn(words); list > 1 {
		words[list-1] = strings.Join(words[:list], "")
		words = words[list-1:]
	}
	if len(words) < 3 {
		return "", "", "", false
	}
	if len(words) > 3 && (isAddress(words[1]) || len(words) == 4 && words[1] != "-") {
		host, words = words[0], words[1:]
	}
	return host, words[0], strings.Join(words[2:], " "), true
}

// addressesIn counts the first words that are X-Forwarded-For, which some logs have instead
// of the address: all but the last of them end with a comma.
func addressesIn(words []string) int {
	for i, word := range words {
		if !strings.HasSuffix(word, ",") {
			return i + 1
		}
	}
	return 0
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// outcome reads the status and the size of the answer's body, which is 0 if it is not known.
func outcome(text []byte) (status int, size int64, rest []byte, found bool) {
	first, rest, _ := bytes.Cut(bytes.TrimLeft(text, " "), []byte(" "))
	second, rest, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	status, err := strconv.Atoi(string(first))
	if err != nil && string(first) != "-" || status < 0 || status > 999 {
		return 0, 0, nil, false
	}
	size, err = strconv.ParseInt(string(second), 10, 64)
	if err != nil && string(second) != "-" || size < 0 {
		return 0, 0, nil, false
	}
	return status, size, rest, true
}

// requestLine splits a request line. The target may contain spaces, as servers log what the
// client has sent.
func requestLine(line string) (method, target string, found bool) {
	method, target, found = strings.Cut(line, " ")
	if last := strings.LastIndexByte(target, ' '); last >= 0 && strings.HasPrefix(target[last+1:], "HTTP/") {
		target = target[:last]
	}
	return method, target, found && isToken(method) && isTarget(target)
}

// quoted reads a text between quotation marks, and undoes what nginx and Apache escape.
// closed is false if its end is missing.
func quoted(text []byte) (value string, rest []byte, closed bool) {
	text = text[1:]
	end := 0
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			return unescaped(text, end)
		}
		end++
	}
	if end == len(text) {
		return "", nil, false
	}
	return string(text[:end]), text[end+1:], true
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', 'v': '\v', '"': '"', '\\': '\\'}

// unescaped is quoted for a text whose first backslash is at the given place.
func unescaped(text []byte, at int) (value string, rest []byte, closed bool) {
	result := append(make([]byte, 0, len(text)), text[:at]...)
	for at < len(text) && text[at] != '"' {
		if text[at] != '\\' || at+1 == len(text) {
			result = append(result, text[at])
			at++
			continue
		}
		letter := text[at+1]
		if meant, found := escapes[letter]; found {
			result = append(result, meant)
			at += 2
			continue
		}
		if letter == 'x' && at+4 <= len(text) {
			if code, err := strconv.ParseUint(string(text[at+2:at+4]), 16, 8); err == nil {
				result = append(result, byte(code))
				at += 4
				continue
			}
		}
		result = append(result, '\\')
		at++
	}
	if at == len(text) {
		return "", nil, false
	}
	return string(result), text[at+1:], true
}

// clock reads the times of a log, most of which are the same as the one before.
type clock struct {
	text string
	time time.Time
	step time.Duration
}

// clockTimes are the layouts of $time_local and %t, and of $time_iso8601. Fractions of a
// second are read with each.
var clockTimes = [...]string{"02/Jan/2006:15:04:05 -0700", time.RFC3339}

// find looks for a time in brackets, and returns what stands before and after it.
func (c *clock) find(line []byte) (before []byte, logged time.Time, after []byte, found bool) {
	const longest = len("02/Jan/2006:15:04:05.000000000 -0700")
	for from := 0; ; {
		at := bytes.Index(line[from:], []byte(" ["))
		if at < 0 {
			return nil, time.Time{}, nil, false
		}
		from += at + 2
		text := line[from:]
		end := bytes.IndexByte(text[:min(len(text), longest+1)], ']')
		if end >= 0 && c.parse(text[:end]) {
			return line[:from-2], c.time, bytes.TrimLeft(text[end+1:], " "), true
		}
	}
}

func (c *clock) parse(text []byte) bool {
	if c.text != "" && string(text) == c.text {
		return true
	}
	for _, layout := range clockTimes {
		parsed, err := time.Parse(layout, string(text))
		if err != nil {
			continue
		}
		c.text, c.time, c.step = string(text), parsed.UTC(), time.Second
		if bytes.IndexByte(text, '.') >= 0 {
			c.step = 0
		}
		return true
	}
	return false
}

// longestRequest is more than any request takes. A longer one is a mistake in the log.
const longestRequest = 1000 * time.Hour

// sane returns the duration, or 0 if it makes no sense.
func sane(duration time.Duration) time.Duration {
	if duration < 0 || duration > longestRequest {
		return 0
	}
	return duration
}

func inSeconds(seconds float64) time.Duration {
	if !(seconds >= 0 && seconds <= longestRequest.Seconds()) {
		return 0
	}
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}
