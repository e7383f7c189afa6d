package coalesce

import (
	"encoding/binary"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddy-parker/parker/internal/field"
)

// ignoredField reports whether no answer depends on a request field: it is about the
// connection, a trace, or the order in which answers are sent.
func ignoredField(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection",
		"Traceparent", "Tracestate", "X-Request-Id", "X-Correlation-Id", "X-Amzn-Trace-Id", "Cf-Ray",
		"Priority":
		return true
	}
	return false
}

// selecting are the fields that select an answer, or a form of it, even if the backend does
// not name them in Vary: conditions and ranges by definition, the others because old
// backends forget it. With some of them frameworks let a client replace the method or the
// URL. With others pages ask for a part of themselves.
var selecting = [...]string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Origin", "Range",
	"If", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Content-Encoding", "Content-Language", "Content-Type", "Depth", "A-Im", "Api-Version", "X-Api-Version", "Last-Event-Id", "Prefer", "Soapaction", "X-Amz-Target",
	"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Original-Host",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url",
	"Hx-Boosted", "Hx-History-Restore-Request", "Hx-Request", "Hx-Target", "Hx-Trigger", "Turbo-Frame", "X-Pjax", "X-Requested-With", "X-Up-Mode", "X-Up-Target",
	"X-Inertia", "X-Inertia-Partial-Component", "X-Inertia-Partial-Data", "X-Inertia-Partial-Except", "X-Inertia-Version",
}

// selectingAt is the index of a field in selecting.
var selectingAt = func() map[string]int {
	at := make(map[string]int, len(selecting))
	for i, name := range selecting {
		at[name] = i
	}
	return at
}()

// appendSelecting adds the fields that always count.
func appendSelecting(b []byte, q Request) []byte {
	var fields [len(selecting)][]string
	for name, lines := range q.Kept.Fields {
		if at, ok := selectingAt[name]; ok {
			fields[at] = counted(name, lines, q)
		}
	}
	for _, lines := range fields[:] {
		b = appendField(b, lines)
	}
	return b
}

// appendFields adds all fields and trailers but the ignored ones.
func appendFields(b []byte, q Request) []byte {
	type named struct {
		name  string
		lines []string
	}
	var space [32]named
	var places [len(space)]int
	fields, order := space[:0], places[:0]
	for name, lines := range q.Kept.Fields {
		if lines = counted(name, lines, q); len(lines) > 0 && !ignoredField(name) {
			order = append(order, len(fields))
			fields = append(fields, named{name, lines})
		}
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(fields[a].name, fields[b].name) })
	for _, i := range order {
		b = appendPart(b, fields[i].name)
		b = appendField(b, fields[i].lines)
	}
	b = append(b, 0) // no field has an empty name
	if len(q.HTTP.Trailer) > 0 {
		b, _ = appendAny(b, q.HTTP.Trailer)
	}
	return b
}

// counted returns the lines of a field that mean something to a backend, without what is
// meant for parker.
func counted(name string, lines []string, q Request) []string {
	switch {
	case name == "Last-Event-Id" && q.Position:
		return nil
	case q.Unconditional && (name == "If-None-Match" || name == "If-Modified-Since" || name == "Cache-Control" || name == "Pragma"):
		return nil
	case name == "Prefer":
		return field.PreferencesBut(lines, "wait")
	}
	return lines
}

// ignoredVariable reports whether no answer depends on a variable: Caddy uses it itself, or
// it describes this request only. The client's port is one of them. A string is the
// operator's, except those of tracing.
func ignoredVariable(name string, value any) bool {
	switch name {
	case "start_time", "uuid", "reverse_proxy.proxy_protocol_info", "reverse_proxy.tls_h1_only", "reverse_proxy.proxy":
		_, text := value.(string)
		return !text
	case "trace_id", "span_id":
		return true
	}
	return false
}

// ignoredPlaceholder reports whether no answer depends on a placeholder that a handler in
// front has set, because it describes a single exchange with a backend, such as the one of
// forward_auth.
func ignoredPlaceholder(name string) bool {
	about, ok := strings.CutPrefix(name, "http.reverse_proxy.")
	if !ok {
		return false
	}
	field, ok := strings.CutPrefix(about, "header.")
	return !ok || field == "Date" || ignoredField(field)
}

// unique counts the requests with a part that cannot be compared.
var unique atomic.Uint64

// appendVariables adds the variables and placeholders that handlers further out have set,
// because routes and backends can use them even if the data that they were made of is gone.
// A request with a variable of an unknown type is like no other.
func appendVariables(b []byte, q Request) []byte {
	type named struct {
		name  string
		value any
	}
	var space [8]named
	variables := space[:0]
	for name, value := range q.Kept.Variables {
		if !ignoredVariable(name, value) {
			variables = append(variables, named{name, value})
		}
	}
	for name, value := range q.Kept.Placeholders {
		if !ignoredPlaceholder(name) {
			variables = append(variables, named{"{" + name, value})
		}
	}
	slices.SortFunc(variables, func(a, b named) int { return strings.Compare(a.name, b.name) })
	known := true
	for _, v := range variables {
		b = appendPart(b, v.name)
		var ok bool
		b, ok = appendAny(b, v.value)
		known = known && ok
	}
	if !known {
		b = appendUnique(b)
	}
	return b
}

// appendUnique makes a request like no other.
func appendUnique(b []byte) []byte { return binary.BigEndian.AppendUint64(b, unique.Add(1)) }

// appendAny adds a value with its type. ok is false if configurations and Caddy's own
// handlers do not use the type for variables. Then the value may be incomplete.
func appendAny(b []byte, value any) (_ []byte, ok bool) {
	switch v := value.(type) {
	case http.Header:
		return appendMap(append(b, 'h'), v, func(b []byte, lines []string) ([]byte, bool) { return appendField(b, lines), true })
	case map[string]any:
		return appendMap(append(b, 'm'), v, appendAny)
	case []string:
		return appendField(append(b, 's'), v), true
	case []any:
		b = strconv.AppendInt(append(b, 'a'), int64(len(v)), 10)
		for _, element := range v {
			if b, ok = appendAny(b, element); !ok {
				return b, false
			}
		}
		return b, true
	}
	return appendScalar(b, value)
}

func appendMap[V any](b []byte, m map[string]V, appendValue func([]byte, V) ([]byte, bool)) (_ []byte, ok bool) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = appendField(b, names)
	for _, name := range names {
		if b, ok = appendValue(b, m[name]); !ok {
			return b, false
		}
	}
	return b, true
}

// appendScalar adds a string, a number or a boolean.
func appendScalar(b []byte, value any) (_ []byte, ok bool) {
	v := reflect.ValueOf(value)
	b = append(b, byte(v.Kind()))
	switch {
	case !v.IsValid():
	case v.Kind() == reflect.String:
		b = appendPart(b, v.String())
	case v.Kind() == reflect.Bool:
		b = strconv.AppendBool(b, v.Bool())
	case v.CanInt():
		b = appendPart(b, strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		b = appendPart(b, strconv.FormatUint(v.Uint(), 10))
	case v.CanFloat():
		b = appendPart(b, strconv.FormatFloat(v.Float(), 'g', -1, 64))
	default:
		return b, false
	}
	return b, true
}
