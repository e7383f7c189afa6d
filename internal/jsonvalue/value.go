// Package jsonvalue parses and compares JSON values, and finds parts of them by pointers.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Parse parses one JSON document. Numbers are kept as they are written.
func Parse(text []byte) (any, error) {
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

// Canonical returns the canonical encoding of a document. ok is false if the document
// contains the replacement character, which also stands for invalid Unicode: documents
// that differ only there would have the same encoding.
func Canonical(document any) (text []byte, ok bool) {
	text, err := json.Marshal(document)
	return text, err == nil && !bytes.Contains(text, []byte("\ufffd"))
}

// MayStart reports whether a JSON document can have this start. White space before
// it must have been removed.
func MayStart(start []byte) bool {
	return len(start) == 0 || strings.IndexByte(`{["-0123456789tfn`, start[0]) >= 0
}

// IsNothing reports whether a JSON value is empty, zero, false or null.
func IsNothing(value any) bool {
	switch value := value.(type) {
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	case json.Number:
		return ParseNumber(value).digits == ""
	}
	return value == nil || value == "" || value == false
}

// Equal reports whether two JSON values are equal. The order of an object's members
// and the notation of numbers do not matter.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, Equal)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && ParseNumber(a) == ParseNumber(b)
	}
	return a == b
}

// Number is a JSON number of any size and precision in a normal form: digits, without
// zeros at either end, times ten to the power of exponent. Zero has no digits.
type Number struct {
	negative bool
	digits   string
	exponent int64
}

// ParseNumber returns the normal form of a number.
func ParseNumber(text json.Number) Number {
	unsigned, negative := strings.CutPrefix(string(text), "-")
	mantissa, power := unsigned, "0"
	if i := strings.IndexAny(unsigned, "eE"); i >= 0 {
		mantissa, power = unsigned[:i], unsigned[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	significant := strings.TrimLeft(whole+fraction, "0")
	digits := strings.TrimRight(significant, "0")
	if digits == "" {
		return Number{}
	}
	exponent, err := strconv.ParseInt(power, 10, 32)
	if err != nil {
		// Out of range: it equals only numbers that are written in the same way.
		return Number{negative: negative, digits: unsigned}
	}
	return Number{negative, digits, exponent - int64(len(fraction)) + int64(len(significant)-len(digits))}
}
