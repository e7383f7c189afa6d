package nothingnew

import (
	"bytes"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// literal is the text of a body rule.
type literal struct {
	text  string // trimmed
	least int64  // the minimum size of a body that matches, in bytes

	// If the text is a JSON document, it is compared with bodies as a JSON value, so
	// that, for example, white space and the order of members do not matter.
	isJSON bool
	value  any
}

func newLiteral(text string) literal {
	trimmed := trim([]byte(text))
	l := literal{text: string(trimmed), least: int64(len(trimmed))}
	value, err := jsonvalue.Parse(trimmed)
	if err != nil {
		return l
	}
	// A text that contains a member twice, or invalid Unicode, is compared as text.
	canonical, valid := jsonvalue.Canonical(value)
	if valid && compareJSON(value, trimmed).mayBeWhole() {
		l.isJSON, l.value, l.least = true, value, int64(len(canonical))
		if bytes.ContainsAny(canonical, `\0123456789`) {
			l.least = 1 // an equal value can have a shorter notation
		}
	}
	return l
}

// mayBecome reports whether a body with this start can match the literal when it is
// complete. White space before the start must have been removed.
func (l *literal) mayBecome(start []byte) bool {
	if l.isJSON {
		return compareJSON(l.value, start).mayBeWhole()
	}
	if len(start) <= len(l.text) {
		return l.text[:len(start)] == string(start)
	}
	return string(start[:len(l.text)]) == l.text && len(skipSpace(start[len(l.text):])) == 0
}

// met reports whether the text of an answer matches the literal.
func (l *literal) met(a *answer) bool {
	switch {
	case string(a.text) == l.text:
		return true
	case !l.isJSON || !l.mayBecome(a.text):
		return false
	}
	document, ok := a.json()
	return ok && jsonvalue.Equal(l.value, document)
}
