package traffic

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-parker/parker/internal/advise"
)

// maxLine is the length of the longest line that is read.
const maxLine = 1 << 20

// lines reads an access log.
func (t *reading) lines(source *bufio.Reader) error {
	var buffer []byte
	for number := int64(1); ; number++ {
		line, long, err := nextLine(source, buffer[:0])
		buffer = line[:0]
		line = bytes.Trim(line, "\x00 \t\r\n") // a system that has crashed leaves zeros
		switch {
		case long:
			t.skip(number, TooLong)
		case len(line) > 0:
			if !t.line(number, line, err != nil) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// nextLine appends the next line to buffer. long is true if it was longer than maxLine: then
// the rest of it is left out.
func nextLine(source *bufio.Reader, buffer []byte) (line []byte, long bool, err error) {
	for {
		part, err := source.ReadSlice('\n')
		if !long {
			buffer = append(buffer, part...)
			long = len(buffer) > maxLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return buffer, long, err
		}
	}
}

// line reads one line of a log, and reports whether more are wanted. unended is true if the
// file ends within the line.
func (t *reading) line(number int64, line []byte, unended bool) bool {
	var o advise.Observation
	var ended bool // Begun is when the answer had ended
	var why Why
	if columns, object, found := consoleLine(line); found {
		o, why = t.caddy(columns, object)
		ended = true
	} else {
		o, ended, why = t.combined(line, unended)
	}
	if why == "" {
		why = implausible(&o)
	}
	if why == Unknown && unended {
		why = CutOff
	}
	if why != "" {
		t.skip(number, why)
		return true
	}
	return t.take(o, ended)
}

// implausible says why no server can have logged an observation. Analyses count with times in
// nanoseconds since 1970, which end in the year 2262.
func implausible(o *advise.Observation) Why {
	switch {
	case o.Begun.Year() < 1990 || o.Begun.Year() > 2200:
		return WrongTime
	case o.Status < 0 || o.Status > 999:
		return Unknown
	}
	return ""
}

// setTarget sets the host, if the target names one, the path and the query from the target of
// a request line (RFC 9112, section 3.2).
func setTarget(o *advise.Observation, target string) {
	if scheme, rest, found := strings.Cut(target, "://"); found && (scheme == "http" || scheme == "https") {
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		o.Host, target = hostOf(rest[:end]), rest[end:]
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	}
	target, _, _ = strings.Cut(target, "#")
	target = strings.Clone(target) // the text that it was in may be long
	o.Path, o.Query, _ = strings.Cut(target, "?")
}

// hostOf returns a host without its port, in lower case, and "" if the log names none. A
// client may have sent a password before it.
func hostOf(host string) string {
	host = host[strings.LastIndexByte(host, '@')+1:]
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "-" || host == "_" {
		return ""
	}
	return strings.Clone(host) // the text that it was in may be long
}

// isToken reports whether the text can be a method (RFC 9110, section 5.6.2). Servers log
// whatever a client has sent.
func isToken(text string) bool {
	if text == "" || len(text) > 32 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isTarget reports whether the text can be the target of a request.
func isTarget(text string) bool {
	if text == "*" || strings.HasPrefix(text, "/") {
		return utf8.ValidString(text)
	}
	parsed, err := url.Parse(text)
	return err == nil && parsed.Host != ""
}
