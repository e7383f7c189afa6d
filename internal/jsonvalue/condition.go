package jsonvalue

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Condition is a condition on the parts of a document to which a pointer refers.
type Condition struct {
	pointer Pointer
	values  []any
	absent  bool
}

// NewCondition returns a condition that is met if one of the parts equals one of the
// values. If absent is true, it is met if there is no such part; values must then be
// empty.
func NewCondition(pointer string, values []json.RawMessage, absent bool) (Condition, error) {
	p, err := ParsePointer(pointer)
	if err != nil {
		return Condition{}, err
	}
	if absent && len(values) > 0 {
		return Condition{}, errors.New("absent cannot be combined with values")
	}
	c := Condition{pointer: p, absent: absent}
	for _, text := range values {
		value, err := Parse(text)
		if err != nil {
			return Condition{}, fmt.Errorf("the value %q is not JSON: %w", text, err)
		}
		c.values = append(c.values, value)
	}
	return c, nil
}

// Met reports whether a document meets the condition. A condition without values is met if
// otherwise is true for one of the parts.
func (c Condition) Met(document any, otherwise func(part any) bool) bool {
	switch {
	case c.absent:
		return !c.pointer.Any(document, Exists)
	case len(c.values) == 0:
		return c.pointer.Any(document, otherwise)
	}
	return c.pointer.Any(document, func(part any) bool {
		return slices.ContainsFunc(c.values, func(value any) bool { return Equal(value, part) })
	})
}

// Exists is true for any part.
func Exists(any) bool { return true }
