package response

import (
	"maps"
	"net/http"
	"reflect"
	"testing"
	"time"
)

func attend(m *memory, method string, status int, heartbeat time.Duration) *Live {
	r := get()
	r.Method = method
	limits := LimitsOf(m, r)
	return Attend(m, r, &limits, status, heartbeat)
}

func TestAttendLeavesAnswersWithoutNeed(t *testing.T) {
	long := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"7"}}
	for name, test := range map[string]struct {
		method string
		status int
		header http.Header
		alone  bool
	}{
		"a known length":                  {"GET", 200, long, true},
		"a known length, of an error":     {"GET", 503, long, true},
		"an unknown length":               {"GET", 200, chunked(), false},
		"an unknown length, of an error":  {"GET", 503, chunked(), false},
		"an unknown length, posted for":   {"POST", 200, chunked(), false},
		"of a handler of Caddy's own":     {"GET", 200, http.Header{"Content-Type": {"application/json"}}, true},
		"an event stream":                 {"GET", 200, stream(), false},
		"an event stream, created":        {"POST", 201, stream(), false},
		"HEAD":                            {"HEAD", 200, stream(), true},
		"a tunnel":                        {"CONNECT", 200, http.Header{}, true},
		"another protocol":                {"GET", 101, http.Header{}, true},
		"no content":                      {"GET", 204, stream(), true},
		"not modified":                    {"GET", 304, http.Header{}, true},
		"an error of a stream, and short": {"GET", 503, http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.header = test.header.Clone()
			w := attend(m, test.method, test.status, time.Minute)
			defer w.Close()
			if (w == nil) != test.alone {
				t.Errorf("attended: %v", w != nil)
			}
			if changed := !reflect.DeepEqual(m.header, test.header); changed == test.alone {
				t.Errorf("the header is %v", m.header)
			}
		})
	}
}

func TestAttendSetsFieldsAgainstBuffering(t *testing.T) {
	const heartbeat, none = time.Minute, 0
	for name, test := range map[string]struct {
		heartbeat    time.Duration
		header, want http.Header
	}{
		"a stream": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}},
			http.Header{"Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-transform"}}},
		"a stream, with parameters, in capitals": {heartbeat,
			http.Header{"Content-Type": {"Text/Event-Stream ; charset=utf-8"}},
			http.Header{"Content-Type": {"Text/Event-Stream ; charset=utf-8"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-transform"}}},
		"what only begins like one": {heartbeat,
			http.Header{"Content-Type": {"text/event-streams"}, "Via": {"1.1 Caddy"}},
			http.Header{"Content-Type": {"text/event-streams"}, "Via": {"1.1 Caddy"}, "X-Accel-Buffering": {"no"}}},
		"no-cache stays": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache"}},
			http.Header{"Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-cache, no-transform"}}},
		"several lines stay": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {`private="a, no-transform"`, "", "max-age=0"}},
			http.Header{"Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {`private="a, no-transform", max-age=0, no-transform`}}},
		"no-transform is not doubled": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache", "private,No-Transform"}, "X-Accel-Buffering": {"yes"}},
			http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache", "private,No-Transform"}, "X-Accel-Buffering": {"no"}}},
		"with heartbeats the length is unknown": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}},
			http.Header{"Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-transform"}}},
		"without them the length stays": {none,
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}},
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-transform"}}},
		"the length of compressed bytes stays": {heartbeat,
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}, "Content-Encoding": {"gzip"}},
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {"7"}, "Content-Encoding": {"gzip"}, "X-Accel-Buffering": {"no"}, "Cache-Control": {"no-transform"}}},
		"an ordinary answer may be compressed": {heartbeat,
			http.Header{"Content-Type": {"application/json"}, "Via": {"1.1 Caddy"}, "Cache-Control": {"no-cache"}},
			http.Header{"Content-Type": {"application/json"}, "Via": {"1.1 Caddy"}, "Cache-Control": {"no-cache"}, "X-Accel-Buffering": {"no"}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.header = test.header.Clone()
			// A kept answer may share the lines.
			kept := http.Header{}
			maps.Copy(kept, m.header)
			attend(m, "GET", 200, test.heartbeat).Close()
			if !reflect.DeepEqual(m.header, test.want) {
				t.Errorf("the header is %v, want %v", m.header, test.want)
			}
			if !reflect.DeepEqual(kept, test.header) {
				t.Errorf("a header of the same lines is %v, want %v", kept, test.header)
			}
		})
	}
}
