//go:build !race

package brokertest

const manyOf = 100_000
