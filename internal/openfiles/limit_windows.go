// Package openfiles returns the limit of open files, which also limits connections.
package openfiles

import "math"

// Limit returns the maximum number of files that this process can have open at the same
// time. There is no limit on Windows.
func Limit() int { return math.MaxInt }
