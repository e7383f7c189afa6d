//go:build unix

// Package openfiles returns the limit of open files, which also limits connections.
package openfiles

import (
	"math"
	"syscall"
)

// Limit returns the maximum number of files that this process can have open at the same
// time. The Go runtime has already raised it to the hard limit.
func Limit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt {
		return math.MaxInt
	}
	return int(limit.Cur)
}
