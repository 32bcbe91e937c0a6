//go:build !linux && !windows

package durable

import (
	"errors"
	"os"
)

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncData uses the full sync; on macOS Go asks the drive to empty its cache.
func syncData(f *os.File) error { return f.Sync() }
