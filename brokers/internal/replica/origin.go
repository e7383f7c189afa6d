package replica

import (
	"errors"
	"strconv"
)

// maxNode is how long the name of a node may be, in bytes.
const maxNode = 32

var errOrigin = errors.New("the node and its number are parker's own, and are not as parker writes them")

// ParseNumber reads the number of an entry that its node has numbered. Both texts are
// empty where an application has added the entry, and the number is 0.
func ParseNumber(node, text string) (uint64, error) {
	if node == "" && text == "" {
		return 0, nil
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 || node == "" || len(node) > maxNode {
		return 0, errOrigin
	}
	return number, nil
}
