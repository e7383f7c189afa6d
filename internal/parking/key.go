package parking

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key stands for what requests have in common that are limited together.
type Key [sha256.Size / 2]byte

// KeyOf returns the key of requests that have these values in common.
func KeyOf(values ...string) Key { return keyOf(appendValues(nil, values...)) }

func keyOf(data []byte) Key {
	sum := sha256.Sum256(data)
	return Key(sum[:])
}

// appendValues appends values with their number and lengths, so that none can be taken for
// another one.
func appendValues(data []byte, values ...string) []byte {
	data = binary.AppendUvarint(data, uint64(len(values)))
	for _, value := range values {
		data = append(binary.AppendUvarint(data, uint64(len(value))), value...)
	}
	return data
}
