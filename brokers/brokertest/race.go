//go:build race

package brokertest

// With the race detector all takes several times as long.
const manyOf = 5_000
