//go:build !windows

package durable

import (
	"io/fs"
	"os"
)

// Remove removes a file.
func Remove(path string) error { return os.Remove(path) }

// RemoveAll removes a file, or a folder with all that is in it.
func RemoveAll(path string) error { return os.RemoveAll(path) }

func rename(from, to string) error { return os.Rename(from, to) }

// admit gives a file the mode that was asked for: a service manager may have
// told the process to make none that others can read.
func admit(path string, perm fs.FileMode) error { return os.Chmod(path, perm) }
