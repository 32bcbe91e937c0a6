package main

import (
	"os"
	"syscall"
)

// peak returns the most memory that a process which has ended, or any of the
// children that it waited for, had resident at once, in bytes.
func peak(ended *os.ProcessState) (float64, bool) {
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, false
	}
	return float64(usage.Maxrss) * 1024, true
}
