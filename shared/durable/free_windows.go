package durable

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Free returns how many bytes this account may still write to the disk that
// holds a path. Its error wraps errors.ErrUnsupported where the system does
// not tell.
func Free(path string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", path, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", path, err)
	}
	return free, nil
}
