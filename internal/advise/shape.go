package advise

import (
	"cmp"
	"encoding/json"
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

type field struct {
	name  fieldName
	value string
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

// shapeOf returns the shape of a request, and the values of all that varies in it.
func shapeOf(o *Observation) (routeKey, []field) {
	key := routeKey{method: limited(o.Method, 16), host: limited(strings.ToLower(o.Host), 255)}
	path, fields := pathShape(o.Path)
	key.path = path
	if len(o.Query) <= maxQuery {
		fields = appendForm(fields, inQuery, o.Query)
	}
	batch := false
	switch body := strings.TrimSpace(limited(string(o.Body), maxParsed)); {
	case body == "":
	case body[0] == '{' || body[0] == '[':
		fields, batch = appendJSON(fields, body)
	case strings.HasPrefix(o.Request.Get("Content-Type"), "application/x-www-form-urlencoded") && len(body) <= maxQuery:
		fields = appendForm(fields, inForm, body)
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
func pathShape(path string) (shape string, fields []field) {
	if len(path) > maxPath || strings.Count(path, "/") > maxSegments || !strings.HasPrefix(path, "/") {
		return otherPath, nil
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if decoded, err := url.PathUnescape(segment); err != nil || looksLikeValue(decoded) {
			fields = append(fields, field{fieldName{inPath, strconv.Itoa(i)}, limited(decoded, maxValue)})
			segments[i] = "*"
		}
	}
	return "/" + strings.Join(segments, "/"), fields
}

// looksLikeValue reports whether a segment of a path is a number, an identifier or a token,
// or has characters that a Caddyfile or a matcher would read in another way. It errs on the
// side of yes: such segments are never printed.
func looksLikeValue(segment string) bool {
	digits, letters := 0, 0
	for _, c := range segment {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters++
		case !strings.ContainsRune("-_.~", c):
			return true
		}
	}
	return digits > 0 && letters == 0 || digits > 3 && len(segment) >= 8 || len(segment) > 40
}

func appendForm(fields []field, in place, text string) []field {
	for text != "" && len(fields) < maxFields {
		var part string
		part, text, _ = strings.Cut(text, "&")
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !isName(name) {
			continue
		}
		if value, err = url.QueryUnescape(value); err == nil {
			fields = append(fields, field{fieldName{in, name}, limited(value, maxValue)})
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
func appendJSON(fields []field, body string) (_ []field, batch bool) {
	document, err := jsonvalue.Parse([]byte(body))
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
			fields = append(fields, field{fieldName{inJSON, "/" + name}, limited(value, maxValue)})
		case json.Number:
			fields = append(fields, field{fieldName{inJSON, "/" + name}, limited(value.String(), maxValue)})
		}
	}
	return fields, batch
}

// callOf returns the call that a request names.
func callOf(fields []field) call {
	for _, name := range callNames {
		for _, f := range fields {
			if f.name.in != inPath && strings.TrimPrefix(f.name.name, "/") == name && isName(f.value) {
				return call{where: f.name, value: f.value}
			}
		}
	}
	return call{}
}
