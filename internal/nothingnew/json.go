package nothingnew

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseJSON parses one JSON document. Numbers are kept as they are written.
func parseJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("unexpected data after the JSON value")
	}
	return document, nil
}

// canonicalJSON returns the canonical encoding of a document. ok is false if the document
// contains the replacement character, which also stands for invalid Unicode: documents
// that differ only there would have the same encoding.
func canonicalJSON(document any) (text []byte, ok bool) {
	text, err := json.Marshal(document)
	return text, err == nil && !bytes.Contains(text, []byte("\ufffd"))
}

// mayStartJSON reports whether a JSON document can have this start. White space before
// it must have been removed.
func mayStartJSON(start []byte) bool {
	return len(start) == 0 || strings.IndexByte(`{["-0123456789tfn`, start[0]) >= 0
}

// pointer holds the unescaped reference tokens of a JSON pointer (RFC 6901). Without
// tokens it refers to the whole document.
type pointer []string

var unescapeToken = strings.NewReplacer("~1", "/", "~0", "~")

func parsePointer(text string) (pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, errors.New("a JSON pointer must be empty or start with /")
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		if strings.Count(token, "~") != strings.Count(token, "~0")+strings.Count(token, "~1") {
			return nil, errors.New("in a JSON pointer, ~ must be followed by 0 or 1")
		}
		tokens[i] = unescapeToken.Replace(token)
	}
	return tokens, nil
}

// find returns the value that the pointer refers to. found is false if there is none.
func (p pointer) find(document any) (value any, found bool) {
	value = document
	for _, token := range p {
		switch container := value.(type) {
		case map[string]any:
			if value, found = container[token]; !found {
				return nil, false
			}
		case []any:
			index, ok := arrayIndex(token, len(container))
			if !ok {
				return nil, false
			}
			value = container[index]
		default:
			return nil, false
		}
	}
	return value, true
}

// remove removes the member of an object that the pointer refers to, or sets the element
// of an array to null. The pointer must not be empty.
func (p pointer) remove(document any) {
	last := len(p) - 1
	parent, _ := p[:last].find(document)
	switch container := parent.(type) {
	case map[string]any:
		delete(container, p[last])
	case []any:
		if index, ok := arrayIndex(p[last], len(container)); ok {
			container[index] = nil
		}
	}
}

// arrayIndex parses a token as an index of an array of this length (RFC 6901, 4).
func arrayIndex(token string, length int) (index int, ok bool) {
	index, err := strconv.Atoi(token)
	return index, err == nil && index >= 0 && index < length && strconv.Itoa(index) == token
}

// member is a compiled [JSONRule].
type member struct {
	pointer pointer
	values  []any
	absent  bool
}

func (rule JSONRule) compile() (member, error) {
	p, err := parsePointer(rule.Pointer)
	if err != nil {
		return member{}, err
	}
	if rule.Absent && len(rule.Values) > 0 {
		return member{}, errors.New("absent cannot be combined with values")
	}
	m := member{pointer: p, absent: rule.Absent}
	for _, text := range rule.Values {
		value, err := parseJSON(text)
		if err != nil {
			return member{}, fmt.Errorf("the value %q is not JSON: %w", text, err)
		}
		m.values = append(m.values, value)
	}
	return m, nil
}

func (m member) met(document any) bool {
	value, found := m.pointer.find(document)
	switch {
	case m.absent:
		return !found
	case len(m.values) == 0:
		return found && isNothing(value)
	}
	return found && slices.ContainsFunc(m.values, func(v any) bool { return equalJSON(v, value) })
}

// isNothing reports whether a JSON value is empty, zero, false or null.
func isNothing(value any) bool {
	switch value := value.(type) {
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	case json.Number:
		return parseNumber(value).digits == ""
	}
	return value == nil || value == "" || value == false
}

// equalJSON reports whether two JSON values are equal. The order of an object's members
// and the notation of numbers do not matter.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalJSON)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalJSON)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && parseNumber(a) == parseNumber(b)
	}
	return a == b
}

// number is a JSON number of any size and precision in a normal form: digits, without
// zeros at either end, times ten to the power of exponent. Zero has no digits.
type number struct {
	negative bool
	digits   string
	exponent int64
}

func parseNumber(text json.Number) number {
	unsigned, negative := strings.CutPrefix(string(text), "-")
	mantissa, power := unsigned, "0"
	if i := strings.IndexAny(unsigned, "eE"); i >= 0 {
		mantissa, power = unsigned[:i], unsigned[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	significant := strings.TrimLeft(whole+fraction, "0")
	digits := strings.TrimRight(significant, "0")
	if digits == "" {
		return number{}
	}
	exponent, err := strconv.ParseInt(power, 10, 32)
	if err != nil {
		// Out of range: it equals only numbers that are written in the same way.
		return number{negative: negative, digits: unsigned}
	}
	return number{negative, digits, exponent - int64(len(fraction)) + int64(len(significant)-len(digits))}
}
