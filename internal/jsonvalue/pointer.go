package jsonvalue

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pointer holds the unescaped reference tokens of a JSON pointer (RFC 6901). Without
// tokens it refers to the whole document.
//
// The token * stands for any member of an object and any index of an array. If the value
// is an object, the tokens after it are also applied to the object itself, because some
// programs write a list of one element as that element alone.
type Pointer []string

// anyPart is the token that stands for any member or index.
const anyPart = "*"

// maxAnyParts limits the work for a document: each * can double the number of ways to
// reach a part.
const maxAnyParts = 8

var unescapeToken = strings.NewReplacer("~1", "/", "~0", "~")

// ParsePointer parses a JSON pointer.
func ParsePointer(text string) (Pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, errors.New("a JSON pointer must be empty or start with /")
	}
	tokens := strings.Split(text[1:], "/")
	anyParts := 0
	for i, token := range tokens {
		if strings.Count(token, "~") != strings.Count(token, "~0")+strings.Count(token, "~1") {
			return nil, errors.New("in a JSON pointer, ~ must be followed by 0 or 1")
		}
		if token == anyPart {
			anyParts++
		}
		tokens[i] = unescapeToken.Replace(token)
	}
	if anyParts > maxAnyParts {
		return nil, fmt.Errorf("a JSON pointer can contain * at most %d times", maxAnyParts)
	}
	return tokens, nil
}

// Any reports whether holds is true for any of the values in a document that the pointer
// refers to. It is false if there are none.
func (p Pointer) Any(document any, holds func(value any) bool) bool {
	if len(p) == 0 {
		return holds(document)
	}
	token, rest := p[0], p[1:]
	within := func(part any) bool { return rest.Any(part, holds) }
	switch container := document.(type) {
	case map[string]any:
		if token != anyPart {
			part, found := container[token]
			return found && within(part)
		}
		for _, part := range container {
			if within(part) {
				return true
			}
		}
		return within(container)
	case []any:
		return slices.ContainsFunc(elements(container, token), within)
	}
	return false
}

// Remove removes the members of objects that the pointer refers to, and sets the elements
// of arrays to null. The pointer must not be empty.
func (p Pointer) Remove(document any) {
	token, rest := p[0], p[1:]
	switch container := document.(type) {
	case map[string]any:
		switch {
		case len(rest) == 0 && token == anyPart:
			clear(container)
		case len(rest) == 0:
			delete(container, token)
		case token == anyPart:
			for _, part := range container {
				rest.Remove(part)
			}
			rest.Remove(container)
		default:
			rest.Remove(container[token])
		}
	case []any:
		selected := elements(container, token)
		for i := range selected {
			if len(rest) == 0 {
				selected[i] = nil
			} else {
				rest.Remove(selected[i])
			}
		}
	}
}

// NamesMember reports whether the pointer refers to the member of this name in an object
// whose members contain no others, such as a form.
func (p Pointer) NamesMember(name string) bool {
	for len(p) > 1 && p[0] == anyPart {
		p = p[1:]
	}
	return len(p) == 1 && (p[0] == name || p[0] == anyPart)
}

// elements returns the part of an array to which a token refers, without copying it.
func elements(array []any, token string) []any {
	if token == anyPart {
		return array
	}
	index, err := strconv.Atoi(token)
	if err != nil || index < 0 || index >= len(array) || strconv.Itoa(index) != token {
		return nil // not an index of this array (RFC 6901, 4)
	}
	return array[index : index+1]
}
