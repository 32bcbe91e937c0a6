//go:build linux || darwin

package app

import (
	"math"
	"syscall"
)

// descriptors returns how many file descriptors this program may have; 0 if
// that is not known. The Go runtime has raised it to all that it is allowed.
func descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
