//go:build unix

package main

import (
	"math"
	"syscall"
)

// openFiles is how many a process can have open at a time. Go has raised that as far
// as it goes.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt {
		return math.MaxInt
	}
	return int(limit.Cur)
}
