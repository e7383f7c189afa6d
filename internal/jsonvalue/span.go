package jsonvalue

import (
	"bytes"
	"encoding/json"
)

// Span returns where in the text of a document the value is that the pointer refers to. ok
// is false if it refers to none, to several, or to an element of an array.
func (p Pointer) Span(text []byte) (start, end int, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	return p.span(decoder)
}

func (p Pointer) span(decoder *json.Decoder) (start, end int, ok bool) {
	if len(p) == 0 {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return 0, 0, false
		}
		end = int(decoder.InputOffset())
		return end - len(value), end, true
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') || p[0] == anyPart {
		return 0, 0, false
	}
	for found := false; decoder.More(); {
		name, err := decoder.Token()
		if err != nil {
			return 0, 0, false
		}
		if name != p[0] {
			var other json.RawMessage
			if decoder.Decode(&other) != nil {
				return 0, 0, false
			}
			continue
		}
		if found {
			return 0, 0, false // another member of the same name
		}
		found = true
		if start, end, ok = p[1:].span(decoder); !ok {
			return 0, 0, false
		}
	}
	_, err := decoder.Token() // the end of the object
	return start, end, ok && err == nil
}
