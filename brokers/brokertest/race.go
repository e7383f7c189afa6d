//go:build race

package brokertest

// With the race detector everything takes several times as long.
const manyOf = 5_000
