package advise

import (
	"bytes"
	"cmp"
	"encoding/json"
	"hash/maphash"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

const (
	maxFields     = 24
	maxValue      = 128
	maxPath       = 512
	maxSegments   = 12
	maxQuery      = 2048
	maxNameLength = 64
)

// otherPath is the shape of all paths that are too long to be looked at.
const otherPath = "*"

// place says where in a request a field is.
type place string

const (
	inPath  place = "path"
	inQuery place = "query"
	inForm  place = "form"
	inJSON  place = "json"
)

// fieldName is the name of a field. For a segment of the path it is its index, from 0. For a
// member of a JSON body it is its pointer.
type fieldName struct {
	in   place
	name string
}

// rawField is a field as it was sent.
type rawField struct {
	name  fieldName
	value string
}

// field is what is kept of one: its name by its place in the table of the route, and its
// value as a number, or else as a digest.
type field struct {
	value  uint64
	name   uint16
	number bool
}

// maxNames is how many names of fields, and pointers of members, a route knows.
const maxNames = 96

// keptFields returns what is kept of fields.
func (r *route) keptFields(raw []rawField) []field {
	if len(raw) == 0 {
		return nil
	}
	fields := make([]field, 0, len(raw))
	for i := range raw {
		name, ok := r.nameIndex(raw[i].name)
		if !ok {
			continue
		}
		kept := field{name: uint16(name)}
		if kept.value, kept.number = plainNumber(raw[i].value); !kept.number {
			kept.value = maphash.String(r.seed, raw[i].value)
		}
		fields = append(fields, kept)
	}
	return fields
}

// nameIndex returns the place of a name in the table of the route, and adds it if there is
// room.
func (r *route) nameIndex(name fieldName) (index int, ok bool) {
	for i := range r.names {
		if r.names[i] == name {
			return i, true
		}
	}
	if len(r.names) >= maxNames {
		return 0, false
	}
	r.names = append(r.names, fieldName{name.in, strings.Clone(name.name)})
	r.namesBytes += nameBytes + len(name.name)
	r.bytes += nameBytes + len(name.name)
	return len(r.names) - 1, true
}

// plainNumber returns the value of a whole number that is written in the usual way.
func plainNumber(text string) (uint64, bool) {
	if text == "" || len(text) > 19 || text[0] == '+' || text[0] == '0' && len(text) > 1 || strings.HasPrefix(text, "-0") {
		return 0, false
	}
	if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, false
	}
	number, err := strconv.ParseInt(text, 10, 64)
	return uint64(number), err == nil
}

// routeKey is the shape of a request: what must agree for two requests to be of one kind.
type routeKey struct {
	method, host string
	path         string // variable segments are *
	call         call
}

// call is the name of a call, if several have one URL.
type call struct {
	where fieldName
	value string
	batch bool // one of several calls in a JSON array
}

func (k routeKey) compare(other routeKey) int {
	return cmp.Or(strings.Compare(k.host, other.host), strings.Compare(k.path, other.path), strings.Compare(k.method, other.method),
		strings.Compare(k.call.where.name, other.call.where.name), strings.Compare(k.call.value, other.call.value))
}

// clone returns a key that keeps no longer text in memory.
func (k routeKey) clone() routeKey {
	k.method, k.host, k.path = strings.Clone(k.method), strings.Clone(k.host), strings.Clone(k.path)
	k.call.where.name, k.call.value = strings.Clone(k.call.where.name), strings.Clone(k.call.value)
	return k
}

func (k routeKey) size() int {
	return len(k.method) + len(k.host) + len(k.path) + len(k.call.where.name) + len(k.call.value)
}

// isWrite reports whether requests of this method can be writes.
func (k routeKey) isWrite() bool {
	switch k.method {
	case "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}

// callNames are the parameters and members by which applications name the call, if all
// calls have one URL.
var callNames = []string{"method", "action", "cmd", "command", "op"}

// shapeOf returns the shape of a request, and appends the values of all that varies in it.
func shapeOf(o *Observation, fields []rawField) (routeKey, []rawField) {
	key := routeKey{method: limited(o.Method, 16), host: limited(strings.ToLower(o.Host), 255)}
	key.path, fields = pathShape(o.Path, fields)
	if len(o.Query) <= maxQuery {
		fields = appendForm(fields, inQuery, o.Query)
	}
	batch := false
	switch body := bytes.TrimSpace(o.Body); {
	case len(body) == 0 || len(body) > maxParsed:
	case body[0] == '{' || body[0] == '[':
		fields, batch = appendJSON(fields, body)
	case len(body) <= maxQuery && hasPrefixFold(o.Request.Get("Content-Type"), "application/x-www-form-urlencoded"):
		fields = appendForm(fields, inForm, string(body))
	}
	key.call = callOf(fields)
	key.call.batch = batch && key.call.value != ""
	return key, fields
}

func limited(text string, limit int) string {
	if len(text) > limit {
		return text[:limit]
	}
	return text
}

// pathShape returns a path with a * in place of each segment that looks like a value.
func pathShape(path string, fields []rawField) (string, []rawField) {
	if len(path) > maxPath || strings.Count(path, "/") > maxSegments || !strings.HasPrefix(path, "/") {
		return otherPath, fields
	}
	var shape []byte
	copied := 0 // of the path
	for i, begin := 0, 1; begin <= len(path); i++ {
		end := strings.IndexByte(path[begin:], '/')
		if end < 0 {
			end = len(path)
		} else {
			end += begin
		}
		if decoded, err := url.PathUnescape(path[begin:end]); err != nil || looksLikeValue(decoded) {
			fields = append(fields, rawField{fieldName{inPath, strconv.Itoa(i)}, limited(decoded, maxValue)})
			shape = append(append(shape, path[copied:begin]...), '*')
			copied = end
		}
		begin = end + 1
	}
	if copied == 0 {
		return path, fields
	}
	return string(append(shape, path[copied:]...)), fields
}

// looksLikeValue reports whether a segment of a path is a number, an identifier or a token,
// or has characters that a Caddyfile or a matcher would read in another way. It errs on the
// side of yes: such segments are never printed.
func looksLikeValue(segment string) bool {
	if strings.HasPrefix(segment, "~") {
		return true // the home of a person
	}
	digits, letters := 0, 0
	lower, upper := false, false
	for _, c := range segment {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters++
			lower, upper = lower || c >= 'a', upper || c <= 'Z'
		case !strings.ContainsRune("-_.~", c):
			return true
		}
	}
	token := digits > 0 && lower && upper || digits > 3
	return digits > 0 && letters == 0 || token && len(segment) >= 8 || len(segment) > 40
}

func appendForm(fields []rawField, in place, text string) []rawField {
	for text != "" && len(fields) < maxFields {
		var part string
		part, text, _ = strings.Cut(text, "&")
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !isName(name) {
			continue
		}
		if value, err = url.QueryUnescape(value); err == nil {
			fields = append(fields, rawField{fieldName{in, name}, limited(value, maxValue)})
		}
	}
	return fields
}

// isName reports whether a text can be printed as a name.
func isName(text string) bool {
	if text == "" || len(text) > maxNameLength {
		return false
	}
	for _, c := range text {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-.:", c)) {
			return false
		}
	}
	return !looksLikeValue(text)
}

// appendJSON appends the members of a JSON body that are texts or numbers. A batch of calls
// is taken for its first call.
func appendJSON(fields []rawField, body []byte) (_ []rawField, batch bool) {
	document, err := jsonvalue.Parse(body)
	if err != nil {
		return fields, false
	}
	if calls, ok := document.([]any); ok && len(calls) > 0 {
		document, batch = calls[0], true
	}
	object, _ := document.(map[string]any)
	for _, name := range sortedNames(object) {
		if !isName(name) || len(fields) >= maxFields {
			continue
		}
		switch value := object[name].(type) {
		case string:
			fields = append(fields, rawField{fieldName{inJSON, "/" + name}, limited(value, maxValue)})
		case json.Number:
			fields = append(fields, rawField{fieldName{inJSON, "/" + name}, limited(value.String(), maxValue)})
		}
	}
	return fields, batch
}

// callOf returns the call that a request names.
func callOf(fields []rawField) call {
	for _, name := range callNames {
		for _, f := range fields {
			if f.name.in != inPath && strings.TrimPrefix(f.name.name, "/") == name && isName(f.value) {
				return call{where: f.name, value: f.value}
			}
		}
	}
	return call{}
}
