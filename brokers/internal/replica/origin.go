package replica

import (
	"errors"
	"strconv"
)

// maxNode is the maximum length of a node's name, in bytes.
const maxNode = 32

var errOrigin = errors.New("the node and number fields are reserved for parker, and are malformed")

// ParseNumber parses the number that a node gave to its entry. If both texts are empty,
// an application added the entry, and the number is 0.
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
