//go:build linux || darwin

package durable

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes this account may still write to the disk that
// holds a path. Its error wraps errors.ErrUnsupported where the system does
// not tell.
func Free(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
