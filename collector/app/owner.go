package app

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// handOver gives everything to the account that owns the data folder: whoever runs
// a command as the system's administrator is often not who the collector runs as,
// which could not open what they made.
func handOver(data string, owner fs.FileInfo) error {
	if !foreign(owner) {
		return nil
	}
	return filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = giveTo(path, owner)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("give %s to the owner of %s: %w", path, data, err)
		}
		return nil
	})
}
