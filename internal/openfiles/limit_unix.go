//go:build unix

// Package openfiles tells how many files a process can have open, and so how many
// connections.
package openfiles

import (
	"math"
	"syscall"
)

// Limit is how many files this process can have open at a time. Go has raised that as
// far as it goes.
func Limit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt {
		return math.MaxInt
	}
	return int(limit.Cur)
}
