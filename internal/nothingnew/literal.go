package nothingnew

import "bytes"

// literal is a text of a body rule, ready for use.
type literal struct {
	text  string // trimmed
	least int64  // a body that meets it has so many bytes

	// Where the text is a JSON document, it is compared with bodies as a JSON value,
	// so that white space, the order of members and the like make no difference.
	isJSON bool
	value  any
}

func newLiteral(text string) literal {
	trimmed := trim([]byte(text))
	l := literal{text: string(trimmed), least: int64(len(trimmed))}
	value, err := parseJSON(trimmed)
	if err != nil {
		return l
	}
	// A text that names a member twice, or is not valid Unicode, is compared as it is.
	canonical, valid := canonicalJSON(value)
	if valid && compareJSON(value, trimmed).mayBeWhole() {
		l.isJSON, l.value, l.least = true, value, int64(len(canonical))
		if bytes.ContainsAny(canonical, `\0123456789`) {
			l.least = 1 // it can be written in a shorter way
		}
	}
	return l
}

// mayBecome reports whether a body that starts like this, white space before it
// trimmed, can meet the literal when it is whole.
func (l *literal) mayBecome(start []byte) bool {
	if l.isJSON {
		return compareJSON(l.value, start).mayBeWhole()
	}
	if len(start) <= len(l.text) {
		return l.text[:len(start)] == string(start)
	}
	return string(start[:len(l.text)]) == l.text && len(skipSpace(start[len(l.text):])) == 0
}

// met reports whether the text of an answer meets the literal.
func (l *literal) met(a *answer) bool {
	switch {
	case string(a.text) == l.text:
		return true
	case !l.isJSON || !l.mayBecome(a.text):
		return false
	}
	document, ok := a.json()
	return ok && equalJSON(l.value, document)
}
