package replica

import (
	"errors"
	"strconv"
	"strings"
)

// maxNode is how long the name of a node may be, in bytes. It is a part of what
// clients hand back.
const maxNode = 32

var errOrigin = errors.New("the node and its number are parker's own, and are not as parker writes them")

// ParseNumber reads the number of an entry that its node has numbered. Both texts are
// empty where an application has added the entry, and the number is 0.
func ParseNumber(node, text string) (uint64, error) {
	if node == "" && text == "" {
		return 0, nil
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 || node == "" || len(node) > maxNode || !IsWord(node) {
		return 0, errOrigin
	}
	return number, nil
}

// IsWord tells whether a text is of ASCII letters and digits only. Then it can be in a
// position, where other characters separate.
func IsWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
