//go:build !linux && !darwin && !windows

package durable

import (
	"errors"
	"fmt"
)

// Free returns how many bytes this account may still write to the disk that
// holds a path. Its error wraps errors.ErrUnsupported where the system does
// not tell.
func Free(path string) (uint64, error) {
	return 0, fmt.Errorf("measure the disk of %s: %w", path, errors.ErrUnsupported)
}
